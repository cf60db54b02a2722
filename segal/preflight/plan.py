"""Plan a run: its rounds, budgets, schedule and disk, for ``--dry-run``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmcv import Config
from mmseg.utils import get_root_logger
from torch import nn

from segal.active.dataset.sampler import batch_sampler
from segal.active.units import Fit
from segal.config.schema import ActiveLearningConfig
from segal.config.shapes import CHECKPOINTS_KEPT
from segal.config.spans import Span, spans_of
from segal.distributed import ranks
from segal.experiment.features import cost, describe_first, needs_of
from segal.experiment.network import checkpoint_bytes, weight_bytes
from segal.features import FrozenExtractor
from segal.preflight.base import Preflight
from segal.preflight.forecast import Forecast
from segal.preflight.rates_table import rates_table
from segal.structures import Budget, PoolImage
from segal.visualization.table import cost_words, ruled, size_in_words

BYTES_PER_LABEL = 16
"""Most bytes of one labelled pixel on disk."""

COUNTED = 1_000_000
"""Most pixels of a pool whose superpixels are counted for a plan."""

_HEAD = (
    'round',
    'trains',
    'iterations',
    'labels',
    'per image',
    'of pool',
    'cost',
)


def plan_of(parts: Preflight, model: nn.Module) -> str:
    """Describe what a run would do, and what it would cost."""
    cfg, config, data = parts.cfg, parts.config, parts.data
    described, fits = _features(parts), list[Fit]()
    if parts.unit.grouped:
        quick = sum(image.pixels for image in data.pool) <= COUNTED
        fits = [parts.unit.fit(image, count=quick) for image in data.pool]
    spans = planned_spans(parts, fits)
    text = plan(
        cfg,
        config,
        data.pool.images,
        [span.iters for span in spans],
        model,
        ranks.world_size(),
        data.source_images,
        described,
        _typical_pixels(parts),
        fits,
    )
    return f'{text}\n\n{rates_table(cfg, config, spans, model)}'


def planned_spans(parts: Preflight, fits: Sequence[Fit] = ()) -> list[Span]:
    """Place each phase in its schedule, were no request void."""
    cfg, config, data = parts.cfg, parts.config, parts.data
    region = _typical_pixels(parts)
    if fits and all(fit.least == fit.most for fit in fits):
        region = sum(x.pixels for x in data.pool) // sum(x.most for x in fits)
    asked = Forecast(config, data.pool.images, region, fits).cumulated()
    batch = {**cfg.data, **(cfg.data.get('train_dataloader') or {})}
    samplers = [
        batch_sampler(
            asked[index].opened,
            data.source_images,
            batch['samples_per_gpu'],
            config.keys.sources.per_batch,
            config.seed,
            index,
            world_size=ranks.world_size(),
            drop_last=batch.get('drop_last', False),
        )
        for index in range(len(config.phases))
    ]
    return spans_of(config, [len(sampler) for sampler in samplers])


def _typical_pixels(parts: Preflight) -> int:
    """Return the pixels of a typical region; 1 for other units."""
    unit = parts.unit
    return unit.typical_pixels(parts.data.pool[0]) if unit.grouped else 1


def _features(parts: Preflight) -> str:
    """Name the extractor of features, and estimate their disk space."""
    extractor, pool = parts.extractor, parts.data.pool
    if extractor is None:
        return 'none'
    name = type(extractor).__name__
    if not isinstance(extractor, FrozenExtractor):
        return f"{name}: of each round's own network, nothing is kept"
    first = describe_first(
        extractor, pool, parts.device, get_root_logger(), weights=False
    )
    return f'{name}: {cost(first, pool, needs_of(parts.config))}'


def plan(
    cfg: Config,
    config: ActiveLearningConfig,
    pool: Sequence[PoolImage],
    iterations_per_phase: Sequence[int],
    model: nn.Module,
    processes: int,
    source_images: int = 0,
    features: str = 'none',
    pixels_per_region: int = 1,
    fits: Sequence[Fit] = (),
) -> str:
    """Tabulate the rounds, and list what a run would use.

    Args:
        cfg: The canonical config.
        config: Its ``active_learning``, read.
        pool: All images that may be asked about.
        iterations_per_phase: Training iterations of each phase.
        model: The network, whose checkpoints lie on disk.
        processes: How many processes train together.
        source_images: Of all labelled sources.
        features: Extractor of features, and their disk space.
        pixels_per_region: Of a typical region.
        fits: How many regions each image has; empty for other units.

    Returns:
        Lines of text, each at most about 79 characters.
    """
    forecast = Forecast(config, pool, pixels_per_region, fits)
    asked, pixels = forecast.cumulated(), forecast.pixels
    labels = [
        one.images or one.pixels + forecast.region_pixels(one) for one in asked
    ]
    counted = 'epoch' if config.runner.by_epoch else 'iteration'
    everything = len(pool) if config.asks.whole else pixels
    rows = [_HEAD] + [
        (
            str(k),
            f'{phase.train} {counted}' + 's' * (phase.train != 1),
            f'{iterations_per_phase[k]:,}',
            f'{labels[k]:,}',
            f'{labels[k] / len(pool):.4g}',
            f'{100 * labels[k] / everything:.4g} %',
            cost_words(float(config.costs.of(asked[k])), config.costs.unit),
        )
        for k, phase in enumerate(config.phases)
    ]
    each, opening = _budget(config, config.budget), ''
    if config.spending is not None:
        paid = _sum(config, config.spending.amount)
        each = f'{config.unit}s for {paid}, and what was left'
    if config.mixed is not None:
        opening = (
            f'{config.mixed.initial:,} opened at first, '
            f'{config.mixed.images:,} by each query; split: '
            f'{config.mixed.split}'
        )
    anew = [name for name, value in vars(config.reset).items() if value]
    facts = [
        ('pool', f'{len(pool):,} images, {pixels:,} pixels'),
        *_sources(config, source_images),
        ('unit', config.unit),
        ('at first', _first(config)),
        ('each query', f'{each}, {config.queries} queries'),
        ('runs out', forecast.runs_out()),
        ('costs', _prices(config)),
        ('heuristic', _part(config.heuristic)),
        ('selector', _part(config.selector)),
        *([('features', features)] if config.features else []),
        *([('regions', _part(config.shape))] if config.shape else []),
        *([('images', opening)] if config.mixed else []),
        ('random picks', f'{100 * config.keys.shuffle_prop:g} %'),
        ('oracle', _oracle(config)),
        ('starts anew', ', '.join(anew) or 'nothing'),
        ('first weights', _weights(cfg, config)),
        ('seed', str(config.seed)),
        ('processes', str(processes)),
        ('batch', _batch(cfg, processes)),
        (
            'iterations',
            f'{sum(iterations_per_phase):,} in {len(config.phases)} rounds',
        ),
        ('disk', _disk(cfg, config, pool, labels, model)),
    ]
    width = max(len(name) for name, _ in facts)
    lines = [f'{name:<{width}}  {value}' for name, value in facts]
    return '\n'.join([*ruled(rows), '', *lines])


def _budget(config: ActiveLearningConfig, budget: Budget) -> str:
    each = 'of each open image' if config.mixed else 'of each image'
    where = each if budget.per_image else 'over the whole pool'
    return config.asks.in_words(budget, where)


def _sum(config: ActiveLearningConfig, amount: float) -> str:
    return f'{amount:g} {config.costs.unit}'


def _prices(config: ActiveLearningConfig) -> str:
    """Name the price of each request."""
    costs = config.costs
    text = config.asks.price_in_words(costs)
    if not costs.open:
        return text
    return f'{text}, {costs.open:g} to open an image (at most, above)'


def _first(config: ActiveLearningConfig) -> str:
    """Describe the initial labels: how many, and how they are chosen."""
    spending = config.spending
    text = _budget(config, config.initial)
    if spending is not None and not spending.first:
        text = f'{config.unit}s for {_sum(config, spending.amount)}'
    how = [_part(config.initial_heuristic), _part(config.initial_selector)]
    plain = config.initial_heuristic == {'type': 'Random'}
    return text if plain else ', '.join([text, *how])


def _part(part: dict[str, Any]) -> str:
    options = ', '.join(
        f'{key}={value!r}'
        for key, value in part.items()
        if key != 'type' and value is not None
    )
    return f'{part["type"]}({options})'


def _oracle(config: ActiveLearningConfig) -> str:
    void = {
        'charge': 'a void pixel costs its request',
        'exclude': 'void pixels are known and never asked',
    }.get(str(config.oracle.get('void')))
    if config.oracle['type'] == 'HumanOracle':
        void = 'the run ends with exit code 6 whenever people are asked'
        options = config.oracle
        answers = options.get('votes', 1) + options.get('overlap', 0)
        if answers > 1:
            void += f'; {answers:g} answers a request, of which the costs '
            void += 'count one'
    return config.oracle['type'] + (f'; {void}' if void else '')


def _sources(
    config: ActiveLearningConfig, images: int
) -> list[tuple[str, str]]:
    """Describe how labelled sources are trained; empty without any."""
    if not images:
        return []
    sources = config.keys.sources
    mixed = (
        f'{sources.per_batch} in each batch and process'
        if sources.per_batch
        else 'shuffled in with the pool'
    )
    weighed = (
        f"{sources.loss_weight:g} x their mean loss beside the pool's"
        if sources.loss_weight
        else 'one mean loss over all labelled pixels'
    )
    return [('sources', f'{images:,} images, {mixed}; {weighed}')]


def _weights(cfg: Config, config: ActiveLearningConfig) -> str:
    """Name the first weights, and say where a file of them is missing."""
    source = cfg.get('load_from') or config.runner.checkpoint
    missing = ''
    if source and '://' not in source and not Path(source).exists():
        missing = ': this file is missing, and a start would be refused'
    if cfg.get('load_from'):
        return f'of the whole network, {source}{missing}'
    if config.runner.pretrained == 'random':
        return 'random'
    named = source or 'as the model names them'
    return f'{config.runner.pretrained}, {named}{missing}'


def _batch(cfg: Config, processes: int) -> str:
    data = cfg.get('data') or {}
    loader = data.get('train_dataloader') or {}
    each = loader.get('samples_per_gpu', data.get('samples_per_gpu', 1))
    return f'{each * processes} images ({each} in each process)'


def _disk(
    cfg: Config,
    config: ActiveLearningConfig,
    pool: Sequence[PoolImage],
    labels: Sequence[int],
    model: nn.Module,
) -> str:
    """Estimate the disk space at the end of a run."""
    if config.asks.whole:
        mean = sum(image.pixels for image in pool) / len(pool)
        label_bytes = int(labels[-1] * mean)
    else:
        label_bytes = labels[-1] * BYTES_PER_LABEL
    rounds = len(config.phases)
    kept = [kept_by_hooks(cfg, phase.train) for phase in config.phases]
    during, more = sum(kept), 2
    if not config.keys.keep_checkpoints:
        best = bool((cfg.get('evaluation') or {}).get('save_best'))
        during, more = rounds * best, 2 + max(kept) - best
    weights, whole = weight_bytes(model), checkpoint_bytes(model)
    averaged = weights * (config.keys.average is not None)
    together = during * (whole + averaged)
    together += rounds * (whole if config.keeps_optimizer else weights)
    return (
        f'labels up to {size_in_words(label_bytes)}; checkpoints '
        f'{size_in_words(together)} ({rounds + during}: {rounds} final, '
        f'{during} of mmcv), {more} more while a round lasts'
    )


def kept_by_hooks(cfg: Config, length: int) -> int:
    """Count the checkpoints of a phase beside its ``final.pth``.

    Args:
        cfg: Its ``evaluation`` may keep the best, its ``checkpoint_config``
            is that of mmcv's hook.
        length: Of the phase, in what the intervals count.
    """
    best = bool((cfg.get('evaluation') or {}).get('save_best'))
    section = cfg.get('checkpoint_config')
    if section is None:
        return best
    interval = section.get('interval', -1)
    written = length // interval if interval > 0 else 0
    last = bool(section.get('save_last', True)) and (
        interval <= 0 or length % interval > 0
    )
    most = section.get('max_keep_ckpts', CHECKPOINTS_KEPT)
    # mmcv removes those at multiples of the interval before the last one.
    kept = min(written, most) if most > 0 else written
    return kept + last + best
