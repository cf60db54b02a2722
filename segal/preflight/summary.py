"""What a run would do, and what it did, in words."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmcv import Config
from mmseg.utils import get_root_logger
from torch import nn

from segal.active.dataset.mixed_sampler import batch_sampler
from segal.active.units import Fit, QueryUnit
from segal.config import ActiveLearningConfig, plan
from segal.config.planned import cumulated, planned
from segal.config.spans import Span, spans_of
from segal.distributed import ranks
from segal.experiment.data import Data
from segal.experiment.features import cost, describe_first, needs_of
from segal.experiment.network import checkpoint_bytes, weight_bytes
from segal.features import BaseExtractor, FrozenExtractor
from segal.preflight.rates_table import rates_table
from segal.structures import PoolImage
from segal.visualization.table import format_rounds

COUNTED = 1_000_000
"""Pixels of a pool of which superpixels are counted for a plan, at most."""


def plan_of(
    cfg: Config,
    config: ActiveLearningConfig,
    data: Data,
    model: nn.Module,
    described: str,
    unit: QueryUnit,
) -> str:
    """Say what a run would do, for ``--dry-run``."""
    region = unit.typical_pixels(data.pool[0]) if unit.grouped else 1
    fits = _fits(unit, data.pool.images) if unit.grouped else []
    spans = planned_spans(cfg, config, data, unit, fits)
    text = plan(
        cfg,
        config,
        data.pool.images,
        [span.iters for span in spans],
        checkpoint_bytes(model),
        ranks.world_size(),
        data.source_images,
        described,
        region,
        weight_bytes(model) if config.training.average is not None else 0,
        fits,
    )
    return f'{text}\n\n{rates_table(cfg, config, spans, model)}'


def planned_spans(
    cfg: Config,
    config: ActiveLearningConfig,
    data: Data,
    unit: QueryUnit,
    fits: Sequence[Fit] = (),
) -> list[Span]:
    """Each phase in its schedule, were no request void.

    Args:
        cfg: Translated config.
        config: Its active learning, read.
        data: The data sets.
        unit: What is asked.
        fits: How many regions each image has, where they were counted.
    """
    region = unit.typical_pixels(data.pool[0]) if unit.grouped else 1
    able = [(fit.least + fit.most) // 2 for fit in fits]
    if fits and all(fit.least == fit.most for fit in fits):
        region = sum(x.pixels for x in data.pool.images) // sum(able)
    asked = cumulated(planned(config, data.pool.images, region, able))
    batch = {**cfg.data, **(cfg.data.get('train_dataloader') or {})}
    samplers = [
        batch_sampler(
            asked[index].opened,
            data.source_images,
            batch['samples_per_gpu'],
            config.sources.per_batch,
            config.seed,
            index,
            world_size=ranks.world_size(),
            drop_last=batch.get('drop_last', False),
        )
        for index in range(len(config.phases))
    ]
    return spans_of(config, [len(sampler) for sampler in samplers])


def _fits(unit: QueryUnit, pool: Sequence[PoolImage]) -> list[Fit]:
    """Count the units of each image; estimate them in a large pool."""
    quick = sum(image.pixels for image in pool) <= COUNTED
    return [unit.fit(image, count=quick) for image in pool]


def described(
    config: ActiveLearningConfig,
    data: Data,
    extractor: BaseExtractor | None,
    device: torch.device,
) -> str:
    """What describes the images, and what that takes on disk."""
    if extractor is None:
        return 'none'
    name = type(extractor).__name__
    if not isinstance(extractor, FrozenExtractor):
        return f"{name}: of each round's own network, nothing is kept"
    first = describe_first(
        extractor, data.pool, device, get_root_logger(), weights=False
    )
    return f'{name}: {cost(first, data.pool, needs_of(config))}'


def summarise(
    rows: list[dict[str, Any]],
    images: int,
    config: ActiveLearningConfig,
    work_dir: Path,
    seconds: float,
    logger: logging.Logger,
) -> None:
    """The table of rounds, and where to look."""
    lines = [
        '',
        format_rounds(rows, images),
        '',
        f'{seconds:.0f} s in all. Look at:',
        f'  curve     {work_dir / "curve.png"}',
    ]
    if config.visualize is not None:
        lines.append(f'  pictures  {work_dir / config.visualize.dir}')
    lines += [
        f'  rounds    {work_dir / "rounds.json"}',
        f'  model     {work_dir}/round_{len(rows) - 1:03d}/final.pth',
    ]
    logger.info('\n'.join(lines))
