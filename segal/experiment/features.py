"""Configure the features that heuristics and selectors need."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch

from segal.active.dataset.pool import Pool
from segal.config.parts import needs
from segal.config.schema import ActiveLearningConfig
from segal.features import BaseExtractor, Described, FrozenExtractor
from segal.visualization.table import size_in_words

FOLDER = 'features'
"""Folder in the work_dir, the default."""

_BYTES = dict(embedding=4, features=2)
"""Bytes of one number on disk."""


def needs_of(config: ActiveLearningConfig) -> set[str]:
    """List what heuristics and selectors read of predictions."""
    heuristics = (config.heuristic, config.initial_heuristic)
    selectors = (config.selector, config.initial_selector)
    return {
        need
        for role, parts in (('heuristic', heuristics), ('selector', selectors))
        for part in parts
        for need in needs(role, part)
    }


def features_folder(extractor: BaseExtractor, work_dir: Path) -> Path:
    """Return the folder of a pool's features."""
    named: Any = getattr(extractor, 'cache', None)
    return Path(named).expanduser() if named else work_dir / FOLDER


def describe_first(
    extractor: FrozenExtractor,
    pool: Pool,
    device: torch.device,
    logger: logging.Logger,
    weights: bool,
) -> Described:
    """Describe the first image of a pool, to see whether that works.

    Raises:
        ConfigError: The network cannot be built, or cannot describe.
        StateError: Weights that are missing or do not fit.
    """
    name = pool[0].name
    network = extractor.open(device, logger, weights)
    return network(pool.read_image(name), name)


def cost(first: Described, pool: Pool, kinds: Collection[str]) -> str:
    """Estimate the disk space of a pool's features, in words.

    Args:
        first: Of the first image; maps of others grow with their pixels.
        pool: The images.
        kinds: Kinds of features that are cached.
    """
    said = []
    if 'embedding' in kinds:
        length = len(first.embedding)
        size = length * _BYTES['embedding'] * len(pool)
        said.append(f'embeddings of {length} numbers: {size_in_words(size)}')
    if 'features' in kinds and first.features is not None:
        share = sum(image.pixels for image in pool) / pool[0].pixels
        shape = ' x '.join(map(str, first.features.shape))
        size = int(first.features.numel() * _BYTES['features'] * share)
        said.append(f'maps of {shape}: {size_in_words(size)}')
    return ', '.join(said) or 'nothing is kept, since nothing reads them'
