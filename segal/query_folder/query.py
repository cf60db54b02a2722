"""Choose what to label next in a folder, with a trained network.

One query without an experiment around it: no store, no oracle, no annotation.
"""

from __future__ import annotations

import copy
import logging
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from mmcv import Config
from numpy.typing import NDArray

import segal.datasets
import segal.models  # noqa: F401  (fills the registries)
from segal.active.dataset.pool import Pool
from segal.active.heuristics import BaseHeuristic
from segal.active.scoring import Scorer
from segal.active.selectors import QueryContext
from segal.active.units import QueryUnit
from segal.errors import ConfigError, StateError
from segal.experiment.features import features_folder
from segal.experiment.selecting import shape_of
from segal.experiment.trained import Trained, load_trained
from segal.features.of_pool import PoolFeatures
from segal.models.mc_dropout import check_dropout
from segal.query_folder.folder import open_trained, path_of
from segal.query_folder.parts import (
    Parts,
    Request,
    build_extractor,
    build_heuristic,
    build_selector,
    in_options,
    resolve_parts,
    with_threshold,
)
from segal.structures import Selection

FIRST_QUERY = 1
"""Number of the label file that an experiment's first query fills; draws are
keyed by it."""


@dataclass
class ClassMaps:
    """The predicted class maps of all images, compressed.

    A global budget is spent after all images are scored; only then are the
    picked pixels known.
    """

    classes: int
    _packed: dict[str, tuple[bytes, tuple[int, ...]]] = field(
        default_factory=dict
    )

    def put(self, name: str, classes: NDArray[np.int64]) -> None:
        """Keep the class map of an image, int64 (H, W)."""
        plain = classes.astype(self._kind).tobytes()
        self._packed[name] = zlib.compress(plain, 1), classes.shape

    def get(self, name: str) -> NDArray[Any]:
        """Return the class map in as few bytes as the classes need."""
        packed, shape = self._packed[name]
        plain = np.frombuffer(zlib.decompress(packed), self._kind)
        return plain.reshape(shape)

    @property
    def _kind(self) -> type[np.unsignedinteger]:
        return np.uint8 if self.classes <= 256 else np.uint16


@dataclass
class Query:
    """A finished query.

    Attributes:
        request: The options.
        parts: Heuristic, selector, shape and features, as in a config.
        trained: The network.
        scorer: Scores any of the images again.
        built: The heuristic.
        selection: The picks.
        maps: The predicted class maps.
        means: float32 (P,), the mean score of each image.
        seconds: Wall clock of describing, scoring and choosing.
        notes: On translated keys of the config.
        scratch: Folder of features and superpixels; deleted with the query.
    """

    request: Request
    parts: Parts
    trained: Trained
    scorer: Scorer
    built: BaseHeuristic
    selection: Selection
    maps: ClassMaps
    means: NDArray[np.float32]
    seconds: float
    notes: list[str]
    scratch: TemporaryDirectory[str]

    @property
    def pool(self) -> Pool:
        """Return the images."""
        return self.scorer.pool

    def path(self, name: str) -> str:
        """Return the path of an image, relative to the folder."""
        return path_of(self.pool, name)

    def scores(self, names: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Compute the score maps of some images again."""
        pool, wrapper = self.pool, self.trained.wrapper
        found = self.scorer.scores(
            [pool[pool.position[name]] for name in names],
            self.built,
            wrapper,
            self.scorer.statistics(self.built, wrapper),
            FIRST_QUERY,
            'pictures',
        )
        return {image.name: score for image, score, _ in found}


def query_folder(
    cfg: Config, checkpoint: Path, folder: Path, request: Request
) -> Query:
    """Choose the pixels, regions or images of a folder to label.

    The config is one of SegAL or of mmseg; its data need not exist. Images are
    searched in subfolders, too.

    Raises:
        ConfigError: Everything that is wrong with config and request.
        DataError: No images, or some that cannot be decoded.
        StateError: The checkpoint cannot be read, or does not fit.
    """
    try:
        return _query_folder(cfg, checkpoint, folder, request)
    except ConfigError as error:
        raise ConfigError(
            [in_options(problem, request) for problem in error.problems]
        ) from error


def _query_folder(
    cfg: Config, checkpoint: Path, folder: Path, request: Request
) -> Query:
    request = with_threshold(cfg, request)
    parts, problems = resolve_parts(cfg, request)
    problems += request.problems()
    if problems:
        raise ConfigError(problems)
    built = build_heuristic(parts)
    extractor = build_extractor(parts)
    plain = copy.deepcopy(cfg)
    trained, pool, notes = open_trained(cfg, checkpoint, folder)
    _join(trained, plain, request.committee)
    if 'samples' in built.needs:
        check_dropout(trained.wrapper.model)
    scratch = TemporaryDirectory(prefix='segal-query-')
    kept = Path(scratch.name)
    unit = request.asks
    if parts.shape:
        unit = shape_of(parts.shape, pool, kept / 'superpixels')
    begin = time.perf_counter()
    features = None
    if extractor is not None:
        features = PoolFeatures(
            pool,
            extractor,
            trained.wrapper.device,
            features_folder(extractor, kept),
            request.workers,
            logging.getLogger(__name__),
        )
        features.prepare(parts.needs)
    scorer = Scorer(
        pool, request.seed, request.batch_size, request.workers, features
    )
    selection, maps, means = select(
        scorer, built, request, parts, unit, trained
    )
    seconds = time.perf_counter() - begin
    notes += _spent_elsewhere(request, parts, selection)
    return Query(
        request, parts, trained, scorer, built, selection, maps, means,
        seconds, notes, scratch,
    )  # fmt: skip


def _join(trained: Trained, cfg: Config, checkpoints: Sequence[Path]) -> None:
    """Add further networks of a config to a committee."""
    wrapper, members = trained.wrapper, []
    for path in checkpoints:
        other = load_trained(copy.deepcopy(cfg), path, wrapper.device)
        if other.classes != trained.classes:
            raise StateError(
                f'--committee: wanted a network of the classes '
                f'{trained.classes}, in this order; {path} is of '
                f'{other.classes}; name another'
            )
        members.append(other.wrapper)
    wrapper.committee = members


def _spent_elsewhere(
    request: Request, parts: Parts, selection: Selection
) -> list[str]:
    """Note that a share of each image was spent anywhere in the pool."""
    amount = request.budget.amount
    most = max(map(selection.count, selection.places), default=0)
    if request.budget.per_image and most > amount:
        return [
            f'{parts.selector["type"]} spends {amount} {request.unit}s for '
            f'each image wherever they are best: up to {most} in one image'
        ]
    return []


def select(
    scorer: Scorer,
    heuristic: BaseHeuristic,
    request: Request,
    parts: Parts,
    unit: QueryUnit,
    trained: Trained,
) -> tuple[Selection, ClassMaps, NDArray[np.float32]]:
    """Score every image of a pool, and spend the budget on it.

    Every place of the pool may be asked. Returns the picks, the class maps,
    and the mean score of each image.
    """
    images, wrapper = scorer.pool.images, trained.wrapper
    selector = build_selector(
        parts,
        QueryContext(
            images=images,
            free=np.array([image.pixels for image in images], np.int64),
            round=FIRST_QUERY,
            seed=request.seed,
            budget=request.budget,
            unit=unit,
            draws=heuristic.is_draw,
        ),
    )
    maps: ClassMaps | None = None
    means = np.zeros(len(images), np.float32)
    for image, score, prediction in scorer.scores(
        images,
        heuristic,
        wrapper,
        scorer.statistics(heuristic, wrapper),
        FIRST_QUERY,
        'scores',
        ('probs', *selector.needs),
    ):
        everywhere = np.ones(image.size, bool)
        selector.shortlist(image, score, everywhere, prediction)
        probs = prediction.probs
        assert probs is not None
        maps = maps or ClassMaps(len(probs))
        maps.put(image.name, wrapper.classes(probs[None])[0].cpu().numpy())
        means[scorer.pool.position[image.name]] = score.mean(dtype=np.float64)
    assert maps is not None
    return selector.choose([selector.candidates()]), maps, means
