"""What a run would do and cost, for ``--dry-run``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmcv import Config

from segal.config.schema import ActiveLearningConfig
from segal.structures import PoolImage

BYTES_PER_LABEL = 16
"""Of one labelled pixel on disk, at most."""

_HEAD = ('round', 'trains', 'iterations', 'labels', 'per image', 'of pool')


def plan(
    cfg: Config,
    config: ActiveLearningConfig,
    pool: Sequence[PoolImage],
    iterations_per_phase: Sequence[int],
    bytes_per_checkpoint: int | None,
    processes: int,
) -> str:
    """A table of rounds and what they cost.

    Args:
        cfg: The canonical config.
        config: What was read from it.
        pool: All images that may be asked about.
        iterations_per_phase: Training iterations of each phase.
        bytes_per_checkpoint: Size of one; None where it is not known.
        processes: How many processes train together.

    Returns:
        Lines of text, each at most about 79 characters.
    """
    pixels = sum(image.pixels for image in pool)
    labels = [_labels(config, pool, k) for k in range(len(config.phases))]
    rows = [_HEAD] + [
        (
            str(k),
            f'{phase.train} {_counted_in(config, phase.train)}',
            f'{iterations_per_phase[k]:,}',
            f'{labels[k]:,}',
            f'{labels[k] / len(pool):.4g}',
            f'{100 * _share(config, labels[k], pool):.4g} %',
        )
        for k, phase in enumerate(config.phases)
    ]
    facts = [
        ('pool', f'{len(pool):,} images, {pixels:,} pixels'),
        ('unit', config.unit),
        ('at first', _budget(config, config.initial.amount)),
        (
            'each query',
            f'{_budget(config, config.budget.amount)}, '
            f'{config.queries} queries',
        ),
        ('heuristic', _part(config.heuristic)),
        ('selector', _part(config.selector)),
        ('random picks', f'{100 * config.shuffle_prop:g} %'),
        ('oracle', _oracle(config)),
        ('starts anew', _starts_anew(config)),
        ('first weights', _weights(config)),
        ('seed', str(config.seed)),
        ('processes', str(processes)),
        ('batch', _batch(cfg, processes)),
        (
            'iterations',
            f'{sum(iterations_per_phase):,} in {len(config.phases)} rounds',
        ),
        ('disk', _disk(config, pool, labels, bytes_per_checkpoint)),
    ]
    width = max(len(name) for name, _ in facts)
    lines = [f'{name:<{width}}  {value}' for name, value in facts]
    return '\n'.join([*_aligned(rows), '', *lines])


def _labels(
    config: ActiveLearningConfig, pool: Sequence[PoolImage], round: int
) -> int:
    """Labels that a round trains on, in the config's unit."""
    asked = config.initial.amount + round * config.budget.amount
    if config.budget.per_image:
        return sum(min(asked, image.pixels) for image in pool)
    if config.unit == 'image':
        return min(asked, len(pool))
    return min(asked, sum(image.pixels for image in pool))


def _share(
    config: ActiveLearningConfig, labels: int, pool: Sequence[PoolImage]
) -> float:
    """Share of the pool's pixels; for images, of mean size."""
    if config.unit == 'image':
        return labels / len(pool)
    return labels / sum(image.pixels for image in pool)


def _counted_in(config: ActiveLearningConfig, count: int) -> str:
    unit = 'epoch' if config.by_epoch else 'iteration'
    return unit if count == 1 else unit + 's'


def _budget(config: ActiveLearningConfig, amount: int) -> str:
    if config.unit == 'image':
        return f'{amount:,} images'
    if config.budget.per_image:
        return f'{amount:,} pixels of each image'
    return f'{amount:,} pixels over the whole pool'


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


def _weights(config: ActiveLearningConfig) -> str:
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
    config: ActiveLearningConfig,
    pool: Sequence[PoolImage],
    labels: Sequence[int],
    bytes_per_checkpoint: int | None,
) -> str:
    """What is left in the end; while a round lasts it keeps one more."""
    if config.unit == 'image':
        mean = sum(image.pixels for image in pool) / len(pool)
        label_bytes = int(labels[-1] * mean)
    else:
        label_bytes = labels[-1] * BYTES_PER_LABEL
    text = f'labels up to {_size(label_bytes)}; '
    rounds = len(config.phases)
    if bytes_per_checkpoint is None:
        return text + f'{rounds} checkpoints, one more while a round lasts'
    return (
        f'{text}checkpoints {_size(rounds * bytes_per_checkpoint)} '
        f'({rounds} of {_size(bytes_per_checkpoint)}), one more while a '
        'round lasts'
    )


def _size(count: int) -> str:
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
