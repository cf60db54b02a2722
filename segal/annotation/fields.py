"""Define what the fields of an answer may hold, wherever it comes from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

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


def check_spelling(names: Iterable[str], known: Iterable[str]) -> None:
    """Check that nobody has two names, and would count as two people.

    Args:
        names: Of those who answer now.
        known: Names that were used before.

    Raises:
        AnnotatorError: Two names differ in capitals or spaces alone.
    """

    def plain(name: str) -> str:
        return ' '.join(name.casefold().split())

    former = set(known)
    spelled = {plain(name): name for name in former}
    for name in names:
        other = spelled.setdefault(plain(name), name)
        if other != name and name not in former:
            raise AnnotatorError(
                f'annotator: wanted {other!r}, as was said before, got '
                f'{name!r}; one person needs one spelling, two people need '
                'two names'
            )


def strict_json(text: str) -> Any:
    """Parse JSON in which no key comes twice, and all numbers are finite.

    Raises:
        ValueError: It is none.
        RecursionError: It is nested too deeply.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError('a key that comes twice')
        return dict(pairs)

    def no_number(word: str) -> None:
        raise ValueError(f'{word}, which is no number')

    return json.loads(text, object_pairs_hook=once, parse_constant=no_number)
