"""What a run would do and cost, for ``--dry-run``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmcv import Config

from segal.active.units import Fit
from segal.active.units.costs import Asked
from segal.config.dry import runs_dry
from segal.config.planned import cumulated, planned, region_pixels
from segal.config.schema import ActiveLearningConfig, Mixed
from segal.config.sections import CHECKPOINTS_KEPT
from segal.structures import Budget, PoolImage
from segal.visualization.table import cost_words

BYTES_PER_LABEL = 16
"""Of one labelled pixel on disk, at most."""

_HEAD = (
    'round',
    'trains',
    'iterations',
    'labels',
    'per image',
    'of pool',
    'cost',
)


def plan(
    cfg: Config,
    config: ActiveLearningConfig,
    pool: Sequence[PoolImage],
    iterations_per_phase: Sequence[int],
    bytes_per_checkpoint: int | None,
    processes: int,
    source_images: int = 0,
    features: str = 'none',
    pixels_per_region: int = 1,
    bytes_of_average: int = 0,
    fits: Sequence[Fit] = (),
) -> str:
    """A table of rounds and what they cost.

    Args:
        cfg: The canonical config.
        config: What was read from it.
        pool: All images that may be asked about.
        iterations_per_phase: Training iterations of each phase.
        bytes_per_checkpoint: Size of one; None where it is not known.
        processes: How many processes train together.
        source_images: Of all labelled sources.
        features: What describes the images, and what that takes on disk.
        pixels_per_region: About so many.
        bytes_of_average: What mmcv's checkpoints and the best one hold
            beside; 0 for none.
        fits: How many regions each image has; empty for other units.

    Returns:
        Lines of text, each at most about 79 characters.
    """
    pixels = sum(image.pixels for image in pool)
    able = [(fit.least + fit.most) // 2 for fit in fits]
    asked = cumulated(planned(config, pool, pixels_per_region, able))
    labels = [
        one.images or one.pixels + region_pixels(one, pool, pixels_per_region)
        for one in asked
    ]
    rows = [_HEAD] + [
        (
            str(k),
            f'{phase.train} {_counted_in(config, phase.train)}',
            f'{iterations_per_phase[k]:,}',
            f'{labels[k]:,}',
            f'{labels[k] / len(pool):.4g}',
            f'{100 * _share(config, labels[k], pool):.4g} %',
            _cost(config, asked[k]),
        )
        for k, phase in enumerate(config.phases)
    ]
    facts = [
        ('pool', f'{len(pool):,} images, {pixels:,} pixels'),
        *_sources(config, source_images),
        ('unit', config.unit),
        ('at first', _first(config)),
        ('each query', f'{_each_query(config)}, {config.queries} queries'),
        ('runs dry', runs_dry(config, pool, fits, pixels_per_region)),
        ('costs', _prices(config)),
        ('heuristic', _part(config.heuristic)),
        ('selector', _part(config.selector)),
        *([('features', features)] if config.features else []),
        *([('regions', _part(config.shape))] if config.shape else []),
        *([('images', _opening(config.mixed))] if config.mixed else []),
        ('random picks', f'{100 * config.shuffle_prop:g} %'),
        ('oracle', _oracle(config)),
        ('starts anew', _starts_anew(config)),
        ('first weights', _weights(cfg, config)),
        ('seed', str(config.seed)),
        ('processes', str(processes)),
        ('batch', _batch(cfg, processes)),
        (
            'iterations',
            f'{sum(iterations_per_phase):,} in {len(config.phases)} rounds',
        ),
        (
            'disk',
            _disk(
                cfg,
                config,
                pool,
                labels,
                bytes_per_checkpoint,
                bytes_of_average,
            ),
        ),
    ]
    width = max(len(name) for name, _ in facts)
    lines = [f'{name:<{width}}  {value}' for name, value in facts]
    return '\n'.join([*_aligned(rows), '', *lines])


def _cost(config: ActiveLearningConfig, asked: Asked) -> str:
    """What a round's labels cost until then."""
    costs = config.costs
    return cost_words(float(costs.of(asked)), costs.unit)


def _share(
    config: ActiveLearningConfig, labels: int, pool: Sequence[PoolImage]
) -> float:
    """Share of the pool's pixels; for images, of mean size."""
    if config.asks.whole:
        return labels / len(pool)
    return labels / sum(image.pixels for image in pool)


def _counted_in(config: ActiveLearningConfig, count: int) -> str:
    unit = 'epoch' if config.by_epoch else 'iteration'
    return unit if count == 1 else unit + 's'


def _budget(config: ActiveLearningConfig, budget: Budget) -> str:
    each = 'of each open image' if config.mixed else 'of each image'
    where = each if budget.per_image else 'over the whole pool'
    return config.asks.in_words(budget, where)


def _opening(mixed: Mixed) -> str:
    return (
        f'{mixed.initial:,} opened at first, {mixed.images:,} by each query; '
        f'split: {mixed.split}'
    )


def _at_first(config: ActiveLearningConfig) -> str:
    spending = config.spending
    if spending is None or spending.first:
        return _budget(config, config.initial)
    return f'{config.unit}s for {_sum(config, spending.amount)}'


def _each_query(config: ActiveLearningConfig) -> str:
    spending = config.spending
    if spending is None:
        return _budget(config, config.budget)
    return (
        f'{config.unit}s for {_sum(config, spending.amount)}, and what was '
        'left'
    )


def _sum(config: ActiveLearningConfig, amount: float) -> str:
    return f'{amount:g} {config.costs.unit}'


def _prices(config: ActiveLearningConfig) -> str:
    """The prices that the unit is paid by."""
    costs = config.costs
    text = config.asks.price_in_words(costs)
    if not costs.open:
        return text
    return f'{text}, {costs.open:g} to open an image (at most, above)'


def _first(config: ActiveLearningConfig) -> str:
    """The first draw: how many, and how they are chosen."""
    text = _at_first(config)
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
    return config.oracle['type'] + (f'; {void}' if void else '')


def _starts_anew(config: ActiveLearningConfig) -> str:
    names = [
        name
        for name in ('weights', 'optimizer', 'schedule')
        if getattr(config.reset, name)
    ]
    return ', '.join(names) or 'nothing'


def _sources(
    config: ActiveLearningConfig, images: int
) -> list[tuple[str, str]]:
    """How labelled sources go along; nothing where there are none."""
    if not images:
        return []
    sources = config.sources
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
    if cfg.get('load_from'):
        return f'of the whole network, {cfg.load_from}'
    if config.pretrained == 'random':
        return 'random'
    return f'{config.pretrained}, ' + (
        config.checkpoint or 'as the model names them'
    )


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
    bytes_per_checkpoint: int | None,
    bytes_of_average: int,
) -> str:
    """What is left in the end; while a round lasts it keeps two more."""
    if config.asks.whole:
        mean = sum(image.pixels for image in pool) / len(pool)
        label_bytes = int(labels[-1] * mean)
    else:
        label_bytes = labels[-1] * BYTES_PER_LABEL
    rounds = len(config.phases)
    during = sum(kept_by_hooks(cfg, phase.train) for phase in config.phases)
    count = rounds + during
    text = f'labels up to {size_in_words(label_bytes)}; '
    if bytes_per_checkpoint is None:
        return text + f'{count} checkpoints, two more while a round lasts'
    together = count * bytes_per_checkpoint + during * bytes_of_average
    return (
        f'{text}checkpoints {size_in_words(together)} ({count}: {rounds} '
        f'final, {during} of mmcv), two more while a round lasts'
    )


def kept_by_hooks(cfg: Config, length: int) -> int:
    """Checkpoints that a phase leaves beside its ``final.pth``.

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


def size_in_words(count: int) -> str:
    """Bytes, as people say them."""
    size = float(count)
    for unit in ('bytes', 'kB', 'MB', 'GB'):
        if size < 1000:
            return (
                f'{size:.0f} {unit}'
                if unit == 'bytes'
                else (f'{size:.1f} {unit}')
            )
        size /= 1000
    return f'{size:.1f} TB'


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns of equal width, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        '  '.join(
            cell.rjust(width) for cell, width in zip(row, widths, strict=True)
        )
        for row in rows
    ]
    lines.insert(1, '-' * len(lines[0]))
    return lines
