"""Find keys of the budget that the chosen selectors do not use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from segal.active.units import unit_named
from segal.config.parts import takes
from segal.registry import SELECTORS

_SETTINGS = 'active_learning.settings.'

Find = Callable[[str], tuple[bool, Any]]
"""Dotted key -> whether it is written, and its value."""


def unused_keys(
    find: Find, unit: str, selector: Mapping[str, Any], opener: str | None
) -> list[str]:
    """Find keys that are written, and that a selector does not use."""
    kind = SELECTORS.module_dict.get(selector.get('type'))
    if kind is None:
        return []  # reported with the selector
    written = find('active_learning.selector')[1]
    own = dict(written) if isinstance(written, Mapping) else {}
    problems = []
    asks = unit_named(unit)
    for key, argument in asks.selector_keys.items():
        where = f'{_SETTINGS}{unit}.{key}'
        problems += _unlike(find, where, argument, selector, own)
    if asks.grouped:
        where = _SETTINGS + 'region.answer'
        answer = find(where)[1] or 'all'
        if own.get('answer', answer) != answer:
            problems.append(
                f'active_learning.selector.answer: {own["answer"]!r} is not '
                f'what {where} says, {answer!r}, by which the first labels '
                'are asked and paid; write it there alone'
            )
    if written is not None and not asks.whole:
        where = f'{_SETTINGS}{unit}.sample_evenly'
        there, evenly = find(where)
        spread = getattr(kind, 'evenly', None)
        if there and spread is not None and evenly is not spread:
            spends = (
                'gives every image the same share'
                if spread
                else 'spends the budget anywhere in the pool'
            )
            problems.append(
                f'{where}: {evenly} does not count with {selector["type"]}, '
                f'which {spends}; write {spread}, or leave it out'
            )
    return problems + _of_opening(find, opener)


def _of_opening(find: Find, opener: str | None) -> list[str]:
    """Find unused keys of ``mixed``, where images are opened."""
    if opener is None:
        return []
    problems = []
    first, split = (
        _SETTINGS + f'mixed.{x}' for x in ('first_pixels', 'split')
    )
    value = find(first)[1]
    if value is not None and find(split)[1] != 'score_per_cost':
        problems.append(
            f"{first}: counts with split='score_per_cost' alone; got {value} "
            f'beside split={find(split)[1] or "even"!r}. Leave it out'
        )
    aggregate = _SETTINGS + 'image.aggregate'
    there, value = find(aggregate)
    if there and opener in SELECTORS.module_dict:
        part = find(_SETTINGS + 'mixed.selector')[1]
        own = dict(part) if isinstance(part, Mapping) else {}
        chosen = {'type': opener, **own}
        problems += _unlike(find, aggregate, 'aggregate', chosen, own)
    return problems


def _unlike(
    find: Find,
    where: str,
    argument: str,
    selector: Mapping[str, Any],
    own: Mapping[str, Any],
) -> list[str]:
    """Check that a selector takes a key, and does not overrule it."""
    value = find(where)[1]
    if value is None or value is False:
        return []
    if not takes(selector['type'], argument):
        return [
            f'{where}: {selector["type"]} does not use it; got {value!r}. '
            'Leave it out, or write another selector'
        ]
    if argument in own and own[argument] != value:
        return [
            f'{where}: {value!r} contradicts {argument}={own[argument]!r} of '
            f'{selector["type"]}; leave one of the two out'
        ]
    return []
