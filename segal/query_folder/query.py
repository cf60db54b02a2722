"""Choose what to label next in a folder, with a trained network.

One query without an experiment around it: no store, no oracle, no annotation.
"""

from __future__ import annotations

import copy
import logging
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from mmcv import Config
from mmseg.datasets import CustomDataset
from numpy.typing import NDArray

import segal.datasets
import segal.models  # noqa: F401  (fills the registries)
from segal.active.dataset.listing import check, listing
from segal.active.dataset.orientation import look_at_orientations
from segal.active.dataset.pool import Pool, open_pool
from segal.active.dataset.scan import LOOKS
from segal.active.heuristics import BaseHeuristic
from segal.active.scoring import Scorer
from segal.active.selectors import QueryContext
from segal.active.units import QueryUnit
from segal.config.kinds import Channels, accepts
from segal.errors import ConfigError, DataError, StateError
from segal.experiment.features import features_folder
from segal.experiment.image_summary import show
from segal.experiment.selecting import shape_of
from segal.experiment.trained import Trained, load_trained, test_pipeline_of
from segal.features.of_pool import PoolFeatures
from segal.models.mc_dropout import check_dropout
from segal.openmmlab.built import building
from segal.preflight.images import enter_alike
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
        infos = self.pool.dataset.img_infos
        return Path(infos[self.pool.position[name]]['filename']).as_posix()

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
    pipeline, notes = test_pipeline_of(cfg)
    if not pipeline:
        problems.append(
            'data.query.pipeline: wanted a test pipeline there, in data.test, '
            'in data.val or as test_pipeline; got none'
        )
    problems += request.problems()
    if problems:
        raise ConfigError(problems)
    built = build_heuristic(parts)
    extractor = build_extractor(parts)
    device = torch.device('cpu')
    if torch.cuda.is_available():
        device = torch.device('cuda', torch.cuda.current_device())
    plain = copy.deepcopy(cfg)
    trained = load_trained(cfg, checkpoint, device)
    _join(trained, plain, request.committee)
    if 'samples' in built.needs:
        check_dropout(trained.wrapper.model)
    pool = open_folder(
        folder,
        pipeline,
        trained,
        notes,
        suffixes(plain, 'img_suffix'),
        suffixes(plain, 'seg_map_suffix'),
    )
    problems = show(pool, _channels(plain), notes)
    enter_alike(pool, problems)
    if problems:
        raise ConfigError(problems)
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
            device,
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


def _channels(cfg: Config) -> Any:
    """Read which channels a config shows as R, G and B; None where unsaid."""
    active = cfg.get('active_learning')
    shown = active.get('visualize') if isinstance(active, Mapping) else None
    found = shown.get('channels') if isinstance(shown, Mapping) else None
    return found if accepts(Channels, found) else None


def suffixes(cfg: Config, key: str) -> tuple[str, ...]:
    """Read a config's ``img_suffix`` or ``seg_map_suffix``; empty if unset."""
    data = cfg.get('data')
    for name in ('query', 'test', 'val', 'train'):
        section = data.get(name) if isinstance(data, Mapping) else None
        found = section.get(key) if isinstance(section, Mapping) else 0
        several = found if isinstance(found, list | tuple) else (found,)
        if all(isinstance(x, str) and x for x in several):
            return tuple(several)
    return ()


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


def _cases(suffix: str) -> tuple[str, str, str]:
    return suffix, suffix.upper(), f'.{suffix[1:].capitalize()}'


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


def open_folder(
    folder: Path,
    pipeline: Any,
    trained: Trained,
    notes: list[str],
    more: Sequence[str] = (),
    maps: Sequence[str] = (),
) -> Pool:
    """Open the images of a folder as a pool without annotations.

    Subfolders are searched, and hidden files left out. ``more`` are further
    suffixes of images; ``maps`` are those of annotations, which may lie beside
    the images. Files that are left out or turned by EXIF are added to
    ``notes``.

    Raises:
        ConfigError: The pipeline cannot be built.
        DataError: No folder, no images, or some that cannot be decoded.
    """
    if not folder.is_dir():
        raise DataError(
            f'{folder}: wanted a folder of images, got '
            f'{"a file" if folder.exists() else "nothing there"} (seen from '
            f'{Path.cwd()}); correct the path'
        )
    where = str(folder.absolute())
    with listing() as listed, building('data.query.pipeline', pipeline):
        dataset = CustomDataset(
            pipeline,
            img_dir=where,
            data_root=where,  # no draw depends on the folder's place
            img_suffix=(*(x for y in LOOKS for x in _cases(y)), *more),
            seg_map_suffix=tuple(maps) or '.png',
            classes=trained.classes,
            palette=trained.palette,
            test_mode=True,
        )
    check(listed)
    if not len(dataset):
        raise DataError(
            f'{folder}: wanted images ({", ".join((*LOOKS, *more))}) in it or '
            'its subfolders, got none; correct the path'
        )
    seen = look_at_orientations(dataset, str(folder))
    notes += listed.notes + seen.notes
    return open_pool(dataset, key=str(folder))
