"""Define what the fields of an answer may hold, wherever it comes from."""

from __future__ import annotations

import re

from segal.errors import SegALError, short

CLIENT = re.compile('[0-9A-Za-z_-]{8,64}')
"""The number that a page gives an event."""

LONGEST_MS = 10**10
"""Of one answer; a page may lie open for months."""

_NAME = re.compile(r"[^\W_][\w .@'-]{0,63}")


class AnnotatorError(SegALError):
    """A name that no annotator can have."""

    exit_code = 2


def check_name(name: str) -> None:
    """Check that an annotator can have a name.

    Raises:
        AnnotatorError: It has letters that none can have.
    """
    if not _NAME.fullmatch(name) or name != name.strip():
        raise AnnotatorError(
            'annotator: wanted a name of letters, digits, spaces and '
            f"._@'-, at most 64 of them, got {short(name)}"
        )
