"""Whether a config fits together with its data sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmcv import Config

from segal.active.units.costs import exact
from segal.active.units.spending import Spending
from segal.config.network import check_classes
from segal.config.schema import ActiveLearningConfig, Mixed
from segal.config.wrappers import check_wrappers, wraps
from segal.errors import short
from segal.openmmlab.pipelines import entries, loads_labels, walk
from segal.structures import PoolImage


def check_data(cfg: Config) -> list[str]:
    """What can be told about ``data`` before any data set is built."""
    data = cfg.get('data')
    if not isinstance(data, Mapping):
        return [f'data: wanted a dict; got {data!r}'] if data else []
    problems = check_wrappers(data)
    query = data.get('query')
    if (
        isinstance(query, Mapping)
        and not query.get('pipeline')
        and not wraps(query)
    ):
        problems.append(
            'data.query.pipeline: required, the test pipeline; got nothing. '
            'Write pipeline=test_pipeline'
        )
    for name in ('train', 'val'):
        if not data.get(name):
            problems.append(f'data.{name}: required, a data set; got nothing')
    for entry in entries(data.get('train')):
        if not isinstance(entry, Mapping):
            problems.append(
                f'data.train: wanted data sets as dicts; got {short(entry)}'
            )
            continue
        if wraps(entry):
            continue
        steps = [step.get('type') for step in walk(entry.get('pipeline'))]
        if not any(map(loads_labels, steps)):
            problems.append(
                'data.train.pipeline: wanted LoadAnnotations, after which '
                f'the bought labels come in; got {steps}'
            )
    return problems


def check_against_data(
    cfg: Config,
    config: ActiveLearningConfig,
    pool: Sequence[PoolImage],
    classes: Sequence[str],
) -> list[str]:
    """What only the built data sets can tell.

    Args:
        cfg: The canonical config.
        config: What was read from it.
        pool: All images that may be asked about.
        classes: Names of the data set's classes.

    Returns:
        The problems.
    """
    problems = check_classes(cfg, len(classes))
    if config.ignore_index < len(classes):
        problems.append(
            'active_learning.settings.pixel.ignore_index: wanted an id that '
            f'is no class, {len(classes)} or more; got '
            f'{config.ignore_index} ({classes[config.ignore_index]!r})'
        )
    if not pool:
        return [*problems, 'data.query: wanted images; the pool is empty']
    return problems + _check_budgets(config, pool)


def _check_budgets(
    config: ActiveLearningConfig, pool: Sequence[PoolImage]
) -> list[str]:
    if config.spending is not None:
        return _check_spending(config, config.spending, pool)
    if config.mixed is not None:
        return _check_opening(config, config.mixed, len(pool))
    unit = config.unit
    if config.budget.percent is not None:
        total = (config.initial.percent or 0) + (
            config.queries * config.budget.percent
        )
        if total > 100:
            return [
                'active_learning.settings.region.budget_unit: '
                f'{config.initial.percent:g} % at first and '
                f'{config.budget.percent:g} % in each of {config.queries} '
                f'queries are {total:g} %, more than all there is'
            ]
        return []
    first_key = config.asks.first_key
    all_there = config.asks.capacity(pool)
    where = f'active_learning.settings.{unit}.'
    size_key = 'query_size' if config.budget.per_image else 'budget_per_round'
    if config.asks.whole:
        size_key = 'query_size'
    times = len(pool) if config.budget.per_image else 1
    first = config.initial.amount * times
    each = config.budget.amount * times
    if config.asks.grouped and not config.budget.counts_pixels:
        # how many there are depends on the shape: the plan tells that
        return [
            f'{where}{key}: {count:,} regions are more than the pool has '
            f'pixels, {all_there:,}'
            for key, count in ((first_key, first), (size_key, each))
            if count > all_there
        ]
    if first > all_there:
        return [
            f'{where}{first_key}: {first:,} {unit}s are more than the '
            f"pool's {all_there:,}"
        ]
    total = first + config.queries * each
    if total > all_there:
        fits: Any = (all_there - first) // each
        return [
            f'{where}{size_key}: {first:,} {unit}s at first and {each:,} in '
            f'each of {config.queries} queries are {total:,}, more than the '
            f"pool's {all_there:,}; {fits} queries fit"
        ]
    return []


def _check_opening(
    config: ActiveLearningConfig, mixed: Mixed, images: int
) -> list[str]:
    """Whether the pool has as many images as are opened."""
    total = mixed.initial + config.queries * mixed.images
    if total <= images:
        return []
    return [
        f'active_learning.settings.image.query_size: {mixed.initial:,} images '
        f'at first and {mixed.images:,} in each of {config.queries} queries '
        f"are {total:,}, more than the pool's {images:,}"
    ]


def _check_spending(
    config: ActiveLearningConfig,
    spending: Spending,
    pool: Sequence[PoolImage],
) -> list[str]:
    """Whether the pool is as dear as all rounds together."""
    unit, costs = config.unit, config.costs
    there = config.asks.capacity(pool)
    where = f'active_learning.settings.{unit}.'
    if spending.first and config.initial.amount > there:
        return [
            f'{where}{config.asks.first_key}: {config.initial.amount:,} '
            f"{unit}s are more than the pool's {there:,}"
        ]
    files = len(config.phases) - spending.first
    if config.asks.grouped:
        files = min(files, 1)  # how many regions there are, the plan tells
    left = there - config.initial.amount * spending.first
    opening = len(pool) * exact(costs.open)
    most = float(left * spending.price + opening)
    if files * spending.amount <= most:
        return []
    return [
        f'{where}cost_per_round: {spending.amount:g} {costs.unit} in each of '
        f'{files} rounds are more than the {most:g} {costs.unit} that the '
        f"pool's {left:,} {unit}s cost"
    ]
