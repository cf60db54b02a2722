"""Define the types of keys, each with the words that describe it in errors.

The types are pydantic's; a :class:`Wanted` beside them says in an error what
a key takes. ``int`` is never a ``bool``, and no text becomes a number.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import AfterValidator, ConfigDict, TypeAdapter, ValidationError

STRICT = ConfigDict(strict=True, arbitrary_types_allowed=True)


@dataclass(frozen=True)
class Wanted:
    """What a key takes, in words."""

    words: str


def _holds(check: Callable[[Any], bool]) -> AfterValidator:
    """Make a validator of a condition."""

    def validate(value: Any) -> Any:
        if not check(value):
            raise ValueError('refused')
        return value

    return AfterValidator(validate)


def described(words: str, check: Callable[[Any], bool]) -> Any:
    """Make a kind of a condition and of the words for errors."""
    return Annotated[Any, _holds(check), Wanted(words)]


def is_int(value: object) -> bool:
    """Tell whether a value is an integer, and no truth value."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Tell whether a value is an integer or a float."""
    return is_int(value) or isinstance(value, float)


FromZero = Annotated[int, Ge(0), Wanted('an integer, 0 or more')]
FromOne = Annotated[int, Ge(1), Wanted('an integer, 1 or more')]
ClassId = Annotated[int, Ge(0), Le(255), Wanted('an integer, 0 to 255')]
Share = Annotated[
    Any,
    _holds(lambda v: is_number(v) and 0 <= v <= 1),
    Wanted('a number from 0 to 1'),
]
BelowOne = Annotated[
    Any,
    _holds(lambda v: is_number(v) and 0 <= v < 1),
    Wanted('a number from 0 to below 1'),
]
NotNegative = Annotated[
    Any,
    _holds(lambda v: is_number(v) and math.isfinite(v) and v >= 0),
    Wanted('a finite number, 0 or more'),
]
Positive = Annotated[
    Any,
    _holds(lambda v: is_number(v) and math.isfinite(v) and v > 0),
    Wanted('a finite number above 0'),
]
Percent = Annotated[
    Any,
    _holds(
        lambda v: v is None or v is False or (is_number(v) and 0 < v <= 100)
    ),
    Wanted(
        'a number above 0, up to 100 (absent, None or False: exactly the top)'
    ),
]
Split = Annotated[
    Any,
    _holds(
        lambda v: (
            v in ('even', 'score_per_cost') or (is_number(v) and 0 <= v <= 1)
        )
    ),
    Wanted("'even', 'score_per_cost', or a number from 0 to 1"),
]
Auto = Annotated[
    Any,
    _holds(lambda v: isinstance(v, bool) or v == 'auto'),
    Wanted("'auto', True or False"),
]
Text = Annotated[str, _holds(bool), Wanted('a non-empty string')]
Part = Annotated[
    Any,
    _holds(lambda v: isinstance(v, Mapping) or (isinstance(v, str) and v)),
    Wanted("a name or dict(type='Name', ...)"),
]
Options = Annotated[
    Any,
    _holds(lambda v: v is None or isinstance(v, Mapping)),
    Wanted('a dict of arguments'),
]
DataSet = Annotated[
    Any,
    _holds(lambda v: isinstance(v, Mapping)),
    Wanted('one data set, as a dict'),
]
Channels = Annotated[
    Any,
    _holds(
        lambda v: (
            isinstance(v, (list, tuple))
            and len(v) == 3
            and all(is_int(item) and item >= 0 for item in v)
        )
    ),
    Wanted('three integers, 0 or more'),
]
Members = Annotated[
    Any,
    _holds(
        lambda v: (
            isinstance(v, (list, tuple))
            and len(v) > 0
            and all(isinstance(item, Mapping) for item in v)
        )
    ),
    Wanted('a list of dict(checkpoint=..., config=...) and dict(rounds=n)'),
]
Workflow = Annotated[
    Any,
    _holds(lambda v: isinstance(v, (list, tuple)) and len(v) > 0),
    Wanted(
        "[('train', n), ('query', 1)] or [(('train', n), ('query', 1)), "
        "..., (('train', n),)]"
    ),
]


def wanted(kind: Any) -> str:
    """Describe a type in words, for errors and for the guide."""
    if get_origin(kind) in (Union, types.UnionType):
        first, *_ = (one for one in get_args(kind) if one is not type(None))
        return wanted(first)
    for mark in getattr(kind, '__metadata__', ()):
        if isinstance(mark, Wanted):
            return mark.words
    if get_origin(kind) is Literal:
        return 'one of ' + ', '.join(map(repr, get_args(kind)))
    return 'True or False' if kind is bool else 'a dict'


def accepts(kind: Any, value: object) -> bool:
    """Check whether a value is of a type."""
    try:
        TypeAdapter(kind, config=STRICT).validate_python(value)
    except ValidationError:
        return False
    return True
