"""Names of heuristics, selectors and oracles, found in their registries."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from mmcv.utils import Registry

from segal.errors import nearest
from segal.registry import HEURISTICS, ORACLES, SELECTORS

_GIVEN = {
    'heuristic': set[str](),
    'selector': {
        'images',
        'free',
        'budget',
        'round',
        'seed',
        'shuffle_prop',
        'opened',
    },
    'oracle': {'read', 'pool', 'classes', 'ignore_index'},
}
"""Arguments that come from the run, not from the config."""


def _load_registered() -> None:
    """Import what registers our own parts."""
    import segal.active.heuristics
    import segal.active.oracles
    import segal.active.selectors  # noqa: F401


def _folded(name: str) -> str:
    return name.lower().replace('_', '').replace('-', '')


def _as_dict(part: Any) -> dict[str, Any]:
    return dict(part) if isinstance(part, Mapping) else {'type': part}


def _parameters(cls: type) -> dict[str, inspect.Parameter]:
    """Named arguments of a constructor, inherited ones included.

    Where it passes ``**options`` on, its base class's are its own as well.
    """
    found: dict[str, inspect.Parameter] = {}
    for base in cls.__mro__:
        if '__init__' not in base.__dict__ or base is object:
            continue
        parameters = inspect.signature(base.__init__).parameters  # type: ignore[misc]
        passes_on = False
        for name, parameter in list(parameters.items())[1:]:
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                passes_on = True
            elif parameter.kind is not inspect.Parameter.VAR_POSITIONAL:
                found.setdefault(name, parameter)
        if not passes_on:
            break
    return found


def resolve(
    role: str, part: Any, registry: Registry
) -> tuple[dict[str, Any], type | None, list[str]]:
    """Find a part's class and check its arguments.

    Args:
        role: ``'heuristic'``, ``'selector'`` or ``'oracle'``; with ``.of``
            behind it for a part inside a part.
        part: Its name in any case, or a dict.
        registry: Where it is registered.

    Returns:
        The part as a dict with its registered name, its class (None where
        it was not found), and the problems.
    """
    _load_registered()
    part = _as_dict(part)
    where = f'active_learning.{role}'
    name = part.get('type')
    if not isinstance(name, str):
        return (
            part,
            None,
            [
                f'{where}.type: wanted the name of a registered {role}; got '
                f'{name!r} (valid: {", ".join(sorted(registry.module_dict))})'
            ],
        )
    registered = {_folded(item): item for item in registry.module_dict}
    if _folded(name) not in registered:
        return (
            part,
            None,
            [
                f'{where}.type: {name!r} is not registered'
                + nearest(name, registry.module_dict)
            ],
        )
    part['type'] = registered[_folded(name)]
    cls = registry.get(part['type'])
    given = _GIVEN[role.partition('.')[0]]
    problems = _check_arguments(where, part, cls, given)
    if 'of' in part and 'of' in _parameters(cls):
        part['of'], _, inner = resolve(f'{role}.of', part['of'], registry)
        problems += inner
    return part, cls, problems


def _check_arguments(
    where: str, part: Mapping[str, Any], cls: type, given: set[str]
) -> list[str]:
    parameters = {
        name: parameter
        for name, parameter in _parameters(cls).items()
        if name not in given
    }
    problems = [
        f'{where}.{name}: {part["type"]} has no such argument'
        + (nearest(name, parameters) if parameters else ' (it has none)')
        for name in part
        if name != 'type' and name not in parameters
    ]
    problems += [
        f'{where}.{name}: {part["type"]} needs this argument; got nothing'
        for name, parameter in parameters.items()
        if parameter.default is inspect.Parameter.empty and name not in part
    ]
    return problems


def resolve_heuristic(
    part: Any, options: Mapping[str, Any] | None
) -> tuple[dict[str, Any], list[str]]:
    """The heuristic, ready for HEURISTICS, and the problems with it."""
    from segal.model_wrapper import SUPPLIES

    merged = {**_as_dict(part), **(options or {})}
    problems = []
    if options and 'type' in options:
        merged['type'] = _as_dict(part).get('type')
        problems.append(
            'active_learning.heuristic_cfg.type: wanted arguments alone; got '
            f'{options["type"]!r}. The name goes into active_learning.'
            'heuristic'
        )
    merged, cls, found = resolve('heuristic', merged, HEURISTICS)
    problems += found
    for name, need in _needs(merged) if cls is not None else ():
        if need not in SUPPLIES:
            problems.append(
                f'active_learning.heuristic: {name} needs {need!r} '
                'from the network, which the model cannot give (it gives '
                f'{", ".join(SUPPLIES)})'
            )
    return merged, problems


def _needs(part: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Name and need of a heuristic and of those inside it."""
    known = HEURISTICS.module_dict
    while isinstance(part, Mapping) and part.get('type') in known:
        for need in getattr(known[part['type']], 'needs', ()):
            yield part['type'], need
        part = part.get('of', {})


def resolve_selector(
    part: Any,
    unit: str,
    sample_evenly: bool,
    top_percent: float | None,
    aggregate: str,
) -> tuple[dict[str, Any], list[str]]:
    """The selector, ready for SELECTORS, and the problems with it."""
    if part is None:
        if unit == 'image':
            part = {'type': 'WholeImages', 'aggregate': aggregate}
        elif sample_evenly:
            part = {'type': 'PixelsPerImage', 'top_percent': top_percent}
        else:
            part = {'type': 'PixelsGlobal'}
        return resolve('selector', part, SELECTORS)[::2]
    part, cls, problems = resolve('selector', part, SELECTORS)
    if cls is None:
        return part, problems
    if getattr(cls, 'unit', unit) != unit:
        problems.append(
            f'active_learning.selector: {part["type"]} selects by '
            f'{cls.unit}, but runner.sample_mode is {unit!r}'  # type: ignore[attr-defined]
        )
    if top_percent is not None and 'top_percent' in _parameters(cls):
        part.setdefault('top_percent', top_percent)
    if unit == 'image' and 'aggregate' in _parameters(cls):
        part.setdefault('aggregate', aggregate)
    return part, problems


def resolve_oracle(part: Any) -> tuple[dict[str, Any], list[str]]:
    """The oracle, for ORACLES, and the problems with it."""
    part, cls, problems = resolve('oracle', part, ORACLES)
    if cls is not None and 'void' in _parameters(cls):
        part.setdefault('void', 'charge')
    return part, problems
