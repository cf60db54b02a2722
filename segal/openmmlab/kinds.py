"""What a key may take: a check, and the words for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Kind:
    """What a key takes.

    Attributes:
        wanted: In words, for errors.
        accepts: Whether a value is right.
    """

    wanted: str
    accepts: Callable[[Any], bool]


def short(value: object) -> str:
    """A value for an error, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + '...'


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return _is_int(value) or isinstance(value, float)


def integer(low: int, high: int | None = None) -> Kind:
    """An integer in [low, high]."""
    end = f' to {high}' if high is not None else ' or more'
    return Kind(
        f'an integer, {low}{end}',
        lambda v: _is_int(v) and v >= low and (high is None or v <= high),
    )


def one_of(*names: str) -> Kind:
    """One of some words."""
    return Kind(
        'one of ' + ', '.join(repr(n) for n in names), lambda v: v in names
    )


BOOL = Kind('True or False', lambda v: isinstance(v, bool))
AUTO = Kind(
    "'auto', True or False", lambda v: isinstance(v, bool) or v == 'auto'
)
TEXT = Kind('a non-empty string', lambda v: isinstance(v, str) and bool(v))
SPLIT = Kind(
    "'even', 'score_per_cost', or a number from 0 to 1",
    lambda v: (
        v in ('even', 'score_per_cost') or (_is_number(v) and 0 <= v <= 1)
    ),
)
SHARE = Kind('a number from 0 to 1', lambda v: _is_number(v) and 0 <= v <= 1)
NOT_NEGATIVE = Kind(
    'a finite number, 0 or more',
    lambda v: _is_number(v) and math.isfinite(v) and v >= 0,
)
POSITIVE = Kind(
    'a finite number above 0',
    lambda v: _is_number(v) and math.isfinite(v) and v > 0,
)
PERCENT = Kind(
    'a number above 0, up to 100 (absent, None or False: exactly the top)',
    lambda v: v is None or v is False or (_is_number(v) and 0 < v <= 100),
)
BELOW_ONE = Kind(
    'a number from 0 to below 1', lambda v: _is_number(v) and 0 <= v < 1
)
OPTIONS = Kind(
    'a dict of arguments',
    lambda v: v is None or isinstance(v, Mapping),
)
PART = Kind(
    "a name or dict(type='Name', ...)",
    lambda v: (isinstance(v, str) and bool(v)) or isinstance(v, Mapping),
)
SECTION = Kind('a dict', lambda v: isinstance(v, Mapping))
DATASET = Kind('one data set, as a dict', SECTION.accepts)
SECTION_OR_OFF = Kind(
    'a dict, or None or False for none',
    lambda v: v is None or isinstance(v, (bool, Mapping)),
)
CHANNELS = Kind(
    'three integers, 0 or more',
    lambda v: (
        isinstance(v, (list, tuple))
        and len(v) == 3
        and all(_is_int(item) and item >= 0 for item in v)
    ),
)
MEMBERS = Kind(
    'a list of dict(checkpoint=..., config=...) and dict(rounds=n)',
    lambda v: (
        isinstance(v, (list, tuple))
        and len(v) > 0
        and all(isinstance(item, Mapping) for item in v)
    ),
)
PHASES = Kind(
    "[('train', n), ('query', 1)] or [(('train', n), ('query', 1)), ..., "
    "(('train', n),)]",
    lambda v: isinstance(v, (list, tuple)) and len(v) > 0,
)


def optional(kind: Kind) -> Kind:
    """The same, or None."""
    return Kind(kind.wanted, lambda v: v is None or kind.accepts(v))
