"""Read the request of a folder query, and build its parts."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmcv import Config
from mmcv.utils import Registry

from segal.active.heuristics import BaseHeuristic
from segal.active.selectors import BaseSelector, QueryContext
from segal.active.units import QueryUnit, unit_named
from segal.config.parts import (
    is_draw,
    needs,
    resolve_features,
    resolve_heuristic,
    resolve_selector,
    resolve_shape,
)
from segal.config.shapes import find, mapping
from segal.errors import ConfigError
from segal.features import BaseExtractor
from segal.openmmlab.built import building
from segal.registry import FEATURES, HEURISTICS, SELECTORS
from segal.structures import Budget

MOST = 10**9
"""Largest amount of a budget."""

_SQUARES = dict(type='Squares')
"""The shape of regions where no other is named."""


@dataclass(frozen=True)
class Request:
    """The options of a query.

    Attributes:
        budget: Pixels, regions or images.
        unit: ``'pixel'``, ``'region'`` or ``'image'``.
        heuristic: Its name, or ``dict(type=...)``; None: the config's, or
            margin.
        selector: Spends the budget; the same, None: the usual one of the
            budget.
        shape: Of regions; the same, None: squares.
        features: Describes images to parts that want it; the same, None: the
            config's.
        committee: Checkpoints of more networks of the config.
        top_percent: Draw from so many per cent of each image; None: exactly
            the best.
        seed: Of all draws.
        batch_size: Images a forward pass.
        workers: Loader processes.
    """

    budget: Budget
    unit: str = 'pixel'
    heuristic: Any = None
    selector: Any = None
    shape: Any = None
    features: Any = None
    committee: tuple[Path, ...] = ()
    top_percent: float | None = None
    seed: int = 0
    batch_size: int = 1
    workers: int = 2

    @property
    def asks(self) -> QueryUnit:
        """The unit, without where its regions lie."""
        return unit_named(self.unit)

    def problems(self) -> list[str]:
        """List the options whose values have no meaning."""
        key = f'--{self.unit}s' + '-per-image' * self.budget.per_image
        found = [
            f'{name}: wanted {least} or more, got {value}'
            for name, value, least in (
                (key, self.budget.amount, 1),
                ('--batch', self.batch_size, 1),
                ('--workers', self.workers, 0),
                ('--seed', self.seed, 0),
            )
            if value < least
        ]
        if self.budget.amount > MOST:
            found.append(
                f'{key}: wanted at most {MOST:,}, got {self.budget.amount:,}'
            )
        top = self.top_percent
        if top is not None and not 0 < top <= 100:
            found.append(
                '--top-percent: wanted per cent of an image in (0, 100], got '
                f'{top}'
            )
        elif top is not None and key != '--pixels-per-image':
            found.append(
                f'--top-percent: not together with {key}; the top per cent '
                'is that of the pixels of one image: leave it out'
            )
        if self.shape is not None and not self.asks.grouped:
            found.append(
                f'--shape: not together with {key}; wanted --regions or '
                '--regions-per-image'
            )
        return found


@dataclass(frozen=True)
class Parts:
    """The parts of a query, each as in a config; None where none is used."""

    heuristic: dict[str, Any]
    selector: dict[str, Any]
    shape: dict[str, Any] | None
    features: dict[str, Any] | None

    @property
    def needs(self) -> set[str]:
        """List what heuristic and selector read of predictions."""
        return {
            *needs('heuristic', self.heuristic),
            *needs('selector', self.selector),
        }


def resolve_parts(cfg: Config, request: Request) -> tuple[Parts, list[str]]:
    """Choose the parts of a request, and list all of its problems.

    What the request does not name may stand in the config.
    """
    active = mapping(cfg, 'active_learning')
    asked, options = request.heuristic, None
    if asked is None:
        asked = active.get('heuristic', 'margin')
        options = active.get('heuristic_cfg')
    features, problems = resolve_features(
        active.get('features')
        if request.features is None
        else request.features
    )
    heuristic, found = resolve_heuristic(asked, options, features)
    problems += found
    shape, aggregate = None, 'mean'
    if request.asks.grouped:
        shape, found = resolve_shape(
            _SQUARES if request.shape is None else request.shape
        )
        problems += found
        aggregate = 'one' if is_draw(heuristic) else 'mean'
    selector, found = resolve_selector(
        request.selector,
        request.unit,
        request.budget.per_image,
        request.top_percent,
        aggregate,
        features,
    )
    problems += found
    named = request.selector is not None and request.top_percent is not None
    if named and 'top_percent' not in selector:
        problems.append(
            f'--top-percent: {selector.get("type")} has no such argument; '
            'leave it out'
        )
    parts = Parts(
        _plain(heuristic), _plain(selector), _plain(shape), _plain(features)
    )
    if not problems:
        problems = _unread(parts, request)
    return parts, problems


def with_threshold(cfg: Config, request: Request) -> Request:
    """Take ``sample_threshold`` from the config with its heuristic.

    Args:
        cfg: As loaded.
        request: Unchanged where it names a heuristic, a selector or a top
            per cent, or where its budget is not for each image.
    """
    own = (request.heuristic, request.selector, request.top_percent)
    per_image = request.unit == 'pixel' and request.budget.per_image
    top = find(cfg, 'active_learning.settings.pixel.sample_threshold')[1]
    if any(one is not None for one in own) or not per_image or not top:
        return request
    return replace(request, top_percent=top)


def _unread(parts: Parts, request: Request) -> list[str]:
    """List options that no part reads, and options that are missing."""
    needs, name = set(build_heuristic(parts).needs), parts.heuristic['type']
    found = []
    if request.committee and 'committee' not in needs:
        found.append(
            f'--committee: {name} as it stands asks one network alone; leave '
            'it out, or choose one that asks several, such as '
            "--heuristic \"dict(type='VoteEntropy', source='committee')\""
        )
    elif not request.committee and 'committee' in needs:
        found.append(
            f'--committee: {name} asks several networks; name checkpoints of '
            'more networks of this config'
        )
    if request.features is not None and not _reads_features(parts):
        found.append(
            f'--features: neither {name} nor {parts.selector["type"]} reads '
            'them; leave it out, or choose one that does, such as '
            '--selector CoreSet'
        )
    return found


def _reads_features(parts: Parts) -> bool:
    return bool({'embedding', 'features'} & parts.needs)


def in_options(problem: str, request: Request) -> str:
    """Rewrite a sentence about a config's key for the command line."""
    words = {
        'active_learning.selector': '--selector',
        'active_learning.settings.region.shape': '--shape',
        'settings.pixel.sample_threshold': '--top-percent',
        'runner.sample_mode is': 'the budget counts by',
        "runner.sample_mode='pixel'": '--pixels',
        'add active_learning.features=': 'add --features ',
    }
    if request.heuristic is not None:
        words['active_learning.heuristic'] = '--heuristic'
    if request.features is not None:
        words['active_learning.features'] = '--features'
    for key, option in words.items():
        problem = problem.replace(key, option)
    return problem


def _plain(part: Any) -> Any:
    """Convert dicts of mmcv to plain ones."""
    if isinstance(part, Mapping):
        return {key: _plain(value) for key, value in part.items()}
    return part


def build_heuristic(parts: Parts) -> BaseHeuristic:
    """Configure the heuristic."""
    return _build('heuristic', parts.heuristic, HEURISTICS)


def build_extractor(parts: Parts) -> BaseExtractor | None:
    """Configure the feature extractor; None where no part needs it."""
    if parts.features is None or not _reads_features(parts):
        return None
    return _build('features', parts.features, FEATURES)


def build_selector(parts: Parts, context: QueryContext) -> BaseSelector:
    """Build the selector."""
    part = dict(parts.selector, context=context)
    return _build('selector', part, SELECTORS)


def _build(role: str, part: Mapping[str, Any], registry: Registry) -> Any:
    with building(f'active_learning.{role}', part):
        return registry.build(dict(part))


def parse_part(text: str, option: str) -> Any:
    """Read a part from the command line, the value of an option.

    It is a name; or JSON or Python, such as ``"dict(type='Smoothed',
    of='margin', k=2)"``. Nothing is run.

    Raises:
        ConfigError: It is neither.
    """
    if not any(mark in text for mark in '({'):
        return text
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return ast.literal_eval(_Dicts().visit(ast.parse(text, mode='eval')))
    except (ValueError, TypeError, SyntaxError) as error:
        raise ConfigError(
            f"{option}: wanted a name, JSON, or dict(type='...', ...) of "
            f'plain values; got {text!r} ({error})'
        ) from error


class _Dicts(ast.NodeTransformer):
    """Rewrite ``dict(a=1)`` as the literal ``{'a': 1}``."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Rewrite one call; anything but a plain ``dict(...)`` is refused."""
        self.generic_visit(node)
        plain = isinstance(node.func, ast.Name) and node.func.id == 'dict'
        names = [pair.arg for pair in node.keywords]
        if not plain or node.args or None in names:
            return node
        keys: list[ast.expr | None] = [ast.Constant(name) for name in names]
        return ast.Dict(keys, [pair.value for pair in node.keywords])
