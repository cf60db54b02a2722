"""Find heuristics, selectors and oracles in their registries."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from mmcv.utils import Registry

from segal.active.units import Region, unit_named
from segal.errors import ConfigError, nearest
from segal.registry import (
    FEATURES,
    HEURISTICS,
    ORACLES,
    SELECTORS,
    UNITS,
    is_ours,
)

_GIVEN = {
    'heuristic': set[str](),
    'selector': {'context'},
    'settings.region.shape': {'read_image', 'file'},
    'oracle': {
        'read',
        'pool',
        'classes',
        'ignore_index',
        'work_dir',
        'seed',
    },
    'features': set[str](),
}
"""Arguments that come from the run, not from the config."""

DESCRIBED = ('embedding', 'features')
"""Needs that ``active_learning.features`` gives."""


def _load_registered() -> None:
    """Import the modules that register our own parts."""
    import segal.active.heuristics
    import segal.active.oracles
    import segal.active.selectors
    import segal.active.units.regions
    import segal.annotation.human_oracle
    import segal.features  # noqa: F401


def folded(name: str) -> str:
    """Write a name in small letters, without underscores."""
    return name.lower().replace('_', '').replace('-', '')


def _as_dict(part: Any) -> dict[str, Any]:
    return dict(part) if isinstance(part, Mapping) else {'type': part}


def parameters(cls: type) -> dict[str, inspect.Parameter]:
    """Collect the named arguments of a constructor and its bases.

    Arguments of the base class count where ``**options`` are passed on.
    """
    found: dict[str, inspect.Parameter] = {}
    for base in cls.__mro__:
        if '__init__' not in base.__dict__ or base is object:
            continue
        own = inspect.signature(base.__init__).parameters  # type: ignore[misc]
        passes_on = False
        for name, parameter in list(own.items())[1:]:
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
        role: ``'heuristic'``, ``'selector'``, ``'oracle'`` or
            ``'features'``; with ``initial.`` before it for a part of the
            first draw, and ``.of`` behind it for a part inside a part.
        part: Its name in any case, or a dict.
        registry: Where it is registered.

    Returns:
        The part as a dict with its registered name, its class (None where
        it was not found), and the problems.
    """
    _load_registered()
    part, where = _as_dict(part), f'active_learning.{role}'
    name, known = part.get('type'), registry.module_dict
    if not isinstance(name, str):
        problem = (
            f'{where}.type: wanted the name of a registered {role}; got '
            f'{name!r} (valid: {", ".join(sorted(known))})'
        )
        return part, None, [problem]
    # A user's class comes last, and wins.
    ours_first = sorted(known, key=lambda item: not is_ours(known[item]))
    by_name = {folded(item): item for item in ours_first}
    if name not in known and folded(name) not in by_name:
        problem = f'{where}.type: {name!r} is not registered'
        return part, None, [problem + nearest(name, known)]
    part['type'] = name if name in known else by_name[folded(name)]
    cls = known[part['type']]
    role_of = role.removeprefix('initial.')
    given = _GIVEN.get(role_of) or _GIVEN[role_of.partition('.')[0]]
    problems = _check_arguments(where, part, cls, given)
    if 'of' in part and 'of' in parameters(cls):
        part['of'], _, inner = resolve(f'{role}.of', part['of'], registry)
        problems += inner
    return part, cls, problems


def _check_arguments(
    where: str, part: Mapping[str, Any], cls: type, given: set[str]
) -> list[str]:
    found = {k: v for k, v in parameters(cls).items() if k not in given}
    problems = [
        f'{where}.{name}: {part["type"]} has no such argument'
        + (nearest(name, found) if found else ' (it has none)')
        for name in part
        if name != 'type' and name not in found
    ]
    problems += [
        f'{where}.{name}: {part["type"]} needs this argument; got nothing'
        for name, parameter in found.items()
        if parameter.default is inspect.Parameter.empty and name not in part
    ]
    return problems


def resolve_heuristic(
    part: Any,
    options: Mapping[str, Any] | None,
    features: Mapping[str, Any] | None = None,
    first: bool = False,
) -> tuple[dict[str, Any], list[str]]:
    """Resolve the heuristic for HEURISTICS, and list its problems.

    Args:
        part: Its name, or a dict.
        options: ``heuristic_cfg``.
        features: From :func:`resolve_features`.
        first: Whether it scores the initial labels, before any network.
    """
    merged = {**_as_dict(part), **(options or {})}
    problems = []
    if options and 'type' in options:
        merged['type'] = _as_dict(part).get('type')
        problems.append(
            'active_learning.heuristic_cfg.type: wanted arguments alone; got '
            f'{options["type"]!r}. The name goes into active_learning.'
            'heuristic'
        )
    role = 'initial.heuristic' if first else 'heuristic'
    merged, cls, found = resolve(role, merged, HEURISTICS)
    problems += found
    for name, need in _needs(merged, HEURISTICS) if cls is not None else ():
        problems += _unmet(role, name, need, features, first)
    return merged, problems


def resolve_features(part: Any) -> tuple[dict[str, Any] | None, list[str]]:
    """Resolve the extractor for FEATURES, and list its problems."""
    if part is None:
        return None, []
    part, _, problems = resolve('features', part, FEATURES)
    if not problems:
        try:
            FEATURES.build(dict(part))
        except ConfigError as error:
            where, named = 'active_learning.features', f'{part["type"]}: '
            problems = [
                f'{where}.{one.removeprefix(named)}' for one in error.problems
            ]
    return part, problems


def of_network(features: Mapping[str, Any] | None) -> bool:
    """Tell whether the extractor is the round's own network."""
    known = FEATURES.module_dict.get(features['type']) if features else None
    return bool(getattr(known, 'of_network', False))


def _unmet(
    role: str,
    name: str,
    need: str,
    features: Mapping[str, Any] | None,
    first: bool,
) -> list[str]:
    """Check that a need is met; return one sentence or none."""
    from segal.model_wrapper import SUPPLIES

    where = f'active_learning.{role}: {name} needs {need!r}'
    frozen = 'MMSelfSup(...) or Backbone(...)'
    if need in DESCRIBED:
        if features is None:
            return [
                f'{where}, which nothing here gives; add active_learning.'
                "features=dict(type='MMSelfSup', config=..., checkpoint=...)"
                + (', ' if first else ", dict(type='Segmentor'), ")
                + "or dict(type='Backbone', backbone=..., checkpoint=...)"
            ]
        if first and of_network(features):
            return [
                f'{where}, but {features["type"]} has none before the first '
                f'round, when there is no network yet; wanted {frozen} as '
                'active_learning.features, or another part'
            ]
        return []
    if first:
        return [
            f'{where}, but before the first round there is no network that '
            'predicts; wanted a part that needs nothing, such as Random, or '
            f'{" or ".join(map(repr, DESCRIBED))} alone'
        ]
    if need not in SUPPLIES:
        return [
            f'{where} from the network, which the model cannot give (it '
            f'gives {", ".join(SUPPLIES)})'
        ]
    return []


def needs(role: str, part: Mapping[str, Any]) -> Iterator[str]:
    """Yield the fields of predictions that a part reads."""
    registry = HEURISTICS if role == 'heuristic' else SELECTORS
    for _, need in _needs(part, registry):
        yield need


def _needs(
    part: Mapping[str, Any], registry: Registry
) -> Iterator[tuple[str, str]]:
    """Yield name and need of a part and of those inside it."""
    for one in nested(part, registry):
        for need in _own_needs(one, registry):
            yield one['type'], need


def nested(part: Any, registry: Registry) -> Iterator[Mapping[str, Any]]:
    """Yield a part and those inside it, up to one that is not known."""
    known = list(registry.module_dict)
    while isinstance(part, Mapping) and part.get('type') in known:
        yield part
        part = part.get('of', {})


def _own_needs(part: Mapping[str, Any], registry: Registry) -> tuple[str, ...]:
    """List a part's own needs; a heuristic's may depend on arguments."""
    if registry is HEURISTICS and 'of' not in part:
        with suppress(Exception):  # reported where it is built
            return tuple(registry.build(dict(part)).needs)
    return tuple(getattr(registry.module_dict[part['type']], 'needs', ()))


def resolve_selector(
    part: Any,
    unit: str,
    sample_evenly: bool,
    top_percent: float | None,
    aggregate: str,
    features: Mapping[str, Any] | None = None,
    role: str = 'selector',
) -> tuple[dict[str, Any], list[str]]:
    """Resolve the selector for SELECTORS, and list its problems.

    Where no part is named, it is the usual one of the budget.
    """
    asks = unit_named(unit)
    if part is None:
        part = asks.usual_selector(sample_evenly, top_percent, aggregate)
        return resolve(role, part, SELECTORS)[::2]
    part, cls, problems = resolve(role, part, SELECTORS)
    if cls is None:
        return part, problems
    own = getattr(cls, 'unit', unit)
    if own != unit:
        problems.append(
            f'active_learning.{role}: {part["type"]} selects by {own}, but '
            f'runner.sample_mode is {unit!r}'
        )
    for name, need in _needs(part, SELECTORS):
        problems += _unmet(role, name, need, features, 'initial' in role)
    if top_percent is not None and takes(part['type'], 'top_percent'):
        part.setdefault('top_percent', top_percent)
    if 'aggregate' in asks.selector_keys and takes(part['type'], 'aggregate'):
        part.setdefault('aggregate', aggregate)
    return part, problems


def takes(name: str, argument: str) -> bool:
    """Tell whether a registered selector has an argument."""
    return argument in parameters(SELECTORS.module_dict[name])


def resolve_first_selector(
    part: Any,
    usual: Mapping[str, Any],
    unit: str,
    sample_evenly: bool,
    aggregate: str,
    features: Mapping[str, Any] | None,
) -> tuple[dict[str, Any], list[str]]:
    """Resolve the selector of the initial labels, and list its problems.

    Where none is named, it is that of the queries (``usual``), or, where
    that reads more than scores, the plain one of the budget.
    """
    budget = (unit, sample_evenly, None, aggregate, features)
    if part is not None:
        return resolve_selector(part, *budget, role='initial.selector')
    first = dict(usual)
    if any(needs('selector', usual)):
        first, _ = resolve_selector(None, *budget)
    first.pop('top_percent', None)
    return first, []


def resolve_shape(part: Any) -> tuple[dict[str, Any], list[str]]:
    """Resolve the shape of regions for UNITS, and list its problems."""
    role = 'settings.region.shape'
    part, cls, problems = resolve(role, part, UNITS)
    if cls is not None and not issubclass(cls, Region):
        problems.append(
            f'active_learning.{role}.type: wanted a kind of region; got '
            f'{part["type"]!r}'
        )
    return part, problems


def is_draw(part: Mapping[str, Any]) -> bool:
    """Tell whether a heuristic's scores are random draws."""
    cls = HEURISTICS.module_dict.get(part.get('type'))
    return bool(getattr(cls, 'is_draw', False))


def resolve_oracle(part: Any) -> tuple[dict[str, Any], list[str]]:
    """Resolve the oracle for ORACLES, and list its problems."""
    part, cls, problems = resolve('oracle', part, ORACLES)
    if cls is not None and 'void' in parameters(cls):
        part.setdefault('void', 'charge')
    return part, problems
