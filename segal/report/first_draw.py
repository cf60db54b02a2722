"""Measure how well the first images of a config cover a pool."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmcv import Config
from numpy.typing import NDArray

from segal.active.dataset.pool import Pool
from segal.active.scoring import Scorer
from segal.active.selectors import QueryContext
from segal.config.schema import ActiveLearningConfig
from segal.distributed.launching import own_device
from segal.errors import ConfigError
from segal.experiment.data import Data
from segal.experiment.features import features_folder, needs_of
from segal.features.of_pool import PoolFeatures
from segal.preflight.read import read_experiment
from segal.registry import FEATURES, HEURISTICS, SELECTORS


@dataclass
class FirstDraw:
    """The first draws of one checked config; nothing is bought."""

    config: ActiveLearningConfig
    pool: Pool
    features: PoolFeatures | None

    def names(self, seed: int) -> list[str]:
        """Return the images that a run of a seed labels first, in pool order.

        Every place may be asked, as with ``oracle.void='charge'``.
        """
        config, images = self.config, self.pool.images
        free = np.array([image.pixels for image in images], np.int64)
        heuristic = HEURISTICS.build(dict(config.initial_heuristic))
        context = QueryContext(
            images, free, 0, seed, config.initial, draws=heuristic.is_draw
        )
        selector = SELECTORS.build(
            dict(config.initial_selector, context=context)
        )
        scorer = Scorer(self.pool, seed, features=self.features)
        for image, score, prediction in scorer.scores(
            images, heuristic, None, None, 0, needs=selector.needs
        ):
            free_here = np.ones(image.size, bool)
            selector.shortlist(image, score, free_here, prediction)
        return list(selector.choose([selector.candidates()]).places)

    def embeddings(self) -> NDArray[np.float64]:
        """Return a unit vector for each image of the pool, (P, D).

        Raises:
            ConfigError: The config has no features of images.
        """
        if self.features is None or self.features.extractor.of_network:
            raise ConfigError(
                'active_learning.features: wanted MMSelfSup(...) or '
                'Backbone(...), whose embeddings say how far images lie '
                'apart; got none'
            )
        self.features.prepare(['embedding'])
        scorer = Scorer(self.pool, 0, features=self.features)
        found = [
            one.embedding.cpu().numpy().astype(np.float64)
            for one in scorer.predictions(
                self.pool.images, None, 'embeddings', ['embedding']
            )
            if one.embedding is not None
        ]
        rows = np.stack(found)  # (P, D)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def open_first_draw(
    cfg: Config, cache: Path, logger: logging.Logger
) -> FirstDraw:
    """Read a config, and compute the features that its first draw needs.

    They are kept in ``cache`` where the config names no folder.

    Raises:
        ConfigError: The config has problems; all are named.
        DataError: An image cannot be read.
        StateError: The weights do not fit.
    """
    config, data, _ = read_experiment(cfg, None)
    features = None
    if config.features is not None:
        features = _features(config, data, cache, logger)
        features.prepare(needs_of(config))
    return FirstDraw(config, data.pool, features)


def _features(
    config: ActiveLearningConfig,
    data: Data,
    cache: Path,
    logger: logging.Logger,
) -> PoolFeatures:
    extractor: Any = FEATURES.build(dict(config.features or {}))
    folder = features_folder(extractor, cache)
    return PoolFeatures(data.pool, extractor, own_device(), folder, 0, logger)


def coverage(
    vectors: NDArray[np.float64], chosen: NDArray[np.int64]
) -> dict[str, float]:
    """Measure the distance from every image to the nearest chosen one.

    From unit vectors (P, D) and positions (K,), cosine distances from 0 to 2:
    ``mean`` and ``farthest`` distance to the nearest chosen image, and the
    distance of the two ``nearest`` chosen images.
    """
    distances = 1 - vectors @ vectors[chosen].T  # (P, K)
    near = distances.min(axis=1).clip(0)
    spread = distances[chosen] + np.diag(np.full(len(chosen), np.inf))
    return dict(
        mean=float(near.mean()),
        farthest=float(near.max()),
        nearest=float(spread.min().clip(0)) if len(chosen) > 1 else 0.0,
    )
