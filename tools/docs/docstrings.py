"""Turn what docstrings write for Sphinx into Markdown, for the API pages."""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r':\w+:`~?(?:[\w.]*\.)?(\w+)`')


def as_markdown(text: str) -> str:
    """Write roles as code, and drop the second colon before a block."""
    return re.sub(r'::\n', ':\n', ROLE.sub(r'`\1`', text))


class Markdown(griffe.Extension):
    """Rewrites every docstring."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """See the class."""
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)
