"""Check a config against its data sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmcv import Config
from mmseg.datasets import DATASETS, PIPELINES

from segal.active.units.costs import exact
from segal.active.units.spending import Spending
from segal.config.network import check_classes
from segal.config.schema import ActiveLearningConfig
from segal.config.shapes import data_sets
from segal.openmmlab.pipelines import entries, loads_labels, walk
from segal.structures import PoolImage

_MOST_CLASSES = 255

_MIXES = ('get_indexes', 'get_indices')
"""Methods of a step that reads further images, as mmseg's RandomMosaic."""


def check_data(cfg: Config) -> list[str]:
    """Check ``data`` before any data set is built."""
    data = cfg.get('data')
    if not isinstance(data, Mapping):
        return [f'data: wanted a dict; got {data!r}'] if data else []
    problems = []
    for name in ('query', 'val'):
        section = data.get(name)
        if isinstance(section, (list, tuple)):
            problems.append(
                f'data.{name}: wanted one data set, got {len(section)}; '
                'write their folders as lists of one (img_dir=[...], '
                'ann_dir=[...], split=[...])'
            )
    query = data.get('query')
    if (
        isinstance(query, Mapping)
        and not query.get('pipeline')
        and not _wraps(query)
    ):
        problems.append(
            'data.query.pipeline: required, the test pipeline; got nothing. '
            'Write pipeline=test_pipeline'
        )
    for name in ('train', 'val'):
        if not data.get(name):
            problems.append(f'data.{name}: required, a data set; got nothing')
    for key, entry in data_sets(cfg, 'train', 'query', 'val'):
        if _wraps(entry):
            problems.append(_wrapped(key, entry))
        elif isinstance(entry, Mapping):
            problems += _check_steps(key, entry)
    return problems


def check_against_data(
    cfg: Config,
    config: ActiveLearningConfig,
    pool: Sequence[PoolImage],
    classes: Sequence[str],
) -> list[str]:
    """Check classes and budgets against the built data sets."""
    problems = check_classes(cfg, len(classes))
    if len(classes) > _MOST_CLASSES:
        problems.append(
            f'data.train.classes: wanted at most {_MOST_CLASSES}, since '
            f'labels are kept in 8 bits beside void; got {len(classes)}'
        )
    elif config.ignore_index < len(classes):
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
    mixed, budget, unit = config.mixed, config.budget, config.unit
    if mixed is not None:
        unit, first_key, size_key = 'image', 'initial_pool', 'query_size'
        first, each, there = mixed.initial, mixed.images, len(pool)
    elif budget.percent is not None:
        total = (config.initial.percent or 0) + config.queries * budget.percent
        if total > 100:
            return [
                'active_learning.settings.region.budget_unit: '
                f'{config.initial.percent:g} % at first and '
                f'{budget.percent:g} % in each of {config.queries} '
                f'queries are {total:g} %, more than all there is'
            ]
        return []
    else:
        first_key, size_key = config.asks.first_key, 'budget_per_round'
        if config.asks.whole or budget.per_image:
            size_key = 'query_size'
        times = len(pool) if budget.per_image else 1
        first, each = config.initial.amount * times, budget.amount * times
        there = config.asks.capacity(pool)
    where = f'active_learning.settings.{unit}.'
    if mixed is None and config.asks.grouped and not budget.counts_pixels:
        # the shape decides how many there are; the plan shows it
        return [
            f'{where}{key}: {count:,} regions are more than the pool has '
            f'pixels, {there:,}'
            for key, count in ((first_key, first), (size_key, each))
            if count > there
        ]
    if first > there:
        return [
            f'{where}{first_key}: {first:,} {unit}s are more than the '
            f"pool's {there:,}"
        ]
    total = first + config.queries * each
    if total > there:
        fits: Any = (there - first) // each
        return [
            f'{where}{size_key}: {first:,} {unit}s at first and {each:,} in '
            f'each of {config.queries} queries are {total:,}, more than the '
            f"pool's {there:,}; {fits} queries fit"
        ]
    return []


def _check_spending(
    config: ActiveLearningConfig,
    spending: Spending,
    pool: Sequence[PoolImage],
) -> list[str]:
    """Check that the pool costs as much as all rounds spend."""
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
        files = min(files, 1)  # the plan shows how many regions there are
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


def _wraps(entry: Any) -> bool:
    """Tell whether a section describes a data set around others.

    Such a section holds the section of another data set.
    """
    return isinstance(entry, Mapping) and any(
        _is_data_set(one)
        for key, value in entry.items()
        if key not in ('pipeline', 'transforms')
        for one in entries(value)
    )


def _is_data_set(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    kind = value.get('type')
    known = isinstance(kind, str) and DATASETS.get(kind) is not None
    return known or 'img_dir' in value or _wraps(value)


def _wrapped(key: str, entry: Mapping[str, Any]) -> str:
    """Refuse a data set around others."""
    mend = 'wanted one data set: write the one inside in its place'
    if key.startswith('data.train'):
        mend = (
            'wanted data sets of their own: data.train=[dict(type=...), ...], '
            'the pool and, beside it, fully labelled ones (RepeatDataset '
            'around one is unwrapped)'
        )
    return (
        f'{key}.type: {entry.get("type", "a dict of data sets")} around '
        'other data sets is not supported, since bought labels belong to '
        f'single images; {mend}'
    )


def _check_steps(key: str, entry: Mapping[str, Any]) -> list[str]:
    """Check that labels come in, and that no step mixes images."""
    problems = []
    kinds = [step.get('type') for step in walk(entry.get('pipeline'))]
    if key.startswith('data.train') and not any(map(loads_labels, kinds)):
        problems.append(
            f'{key}.pipeline: wanted LoadAnnotations, after which the bought '
            f'labels come in; got {kinds}'
        )
    for kind in kinds:
        made = PIPELINES.get(kind) if isinstance(kind, str) else kind
        if any(hasattr(made, name) for name in _MIXES):
            problems.append(
                f'{key}.pipeline: {kind} mixes several images into one, '
                'which is not supported, since bought labels belong to '
                'single images; wanted steps that move one image and its '
                'labels, such as RandomCrop, RandomFlip or RandomRotate; '
                'remove it'
            )
    return problems
