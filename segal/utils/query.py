"""What to label next in a folder of images, by a trained network.

One query without an experiment around it: no store, no oracle, no annotation.
"""

from __future__ import annotations

import ast
import json
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv import Config
from mmseg.datasets import CustomDataset
from numpy.typing import NDArray

import segal.active.selectors
import segal.datasets
import segal.models  # noqa: F401  (fills the registries)
from segal.active.dataset.pool import Pool, open_pool
from segal.active.heuristics import BaseHeuristic
from segal.active.scoring import Scorer
from segal.config.built import not_built
from segal.config.parts import needs, resolve_heuristic
from segal.errors import ConfigError, DataError, SegALError
from segal.mc_dropout import check_dropout
from segal.model_wrapper import ModelWrapper
from segal.registry import HEURISTICS, SELECTORS
from segal.structures import Budget, Selection
from segal.utils.trained import Trained, load_trained, test_pipeline_of

SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.ppm', '.tif', '.tiff', '.webp')
"""What counts as an image; in capitals, too."""

_BEYOND = {'committee', 'embedding', 'features'}
"""Needs of heuristics that only an experiment supplies."""

FIRST_QUERY = 1
"""Number of the label file that an experiment's first query fills; draws are
keyed by it."""


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        budget: Pixels or images.
        unit: ``'pixel'`` or ``'image'``.
        heuristic: Its name, or ``dict(type=...)``; None: the config's, or
            margin.
        top_percent: Draw from so many per cent of each image; None: exactly
            the best.
        seed: Of all draws.
        batch_size: Images a forward pass.
        workers: Loader processes.
    """

    budget: Budget
    unit: str = 'pixel'
    heuristic: Any = None
    top_percent: float | None = None
    seed: int = 0
    batch_size: int = 1
    workers: int = 2

    @property
    def selector(self) -> dict[str, Any]:
        """Which selector spends the budget."""
        if self.unit == 'image':
            return dict(type='WholeImages')
        if not self.budget.per_image:
            return dict(type='PixelsGlobal')
        return dict(type='PixelsPerImage', top_percent=self.top_percent)

    def problems(self) -> list[str]:
        """One sentence for each value that has no meaning."""
        key = '--images' if self.unit == 'image' else '--pixels'
        key += '-per-image' * self.budget.per_image
        found = [
            f'{name}: wanted {least} or more, got {value}'
            for name, value, least in (
                (key, self.budget.amount, 1),
                ('--batch', self.batch_size, 1),
                ('--workers', self.workers, 0),
                ('--seed', self.seed, 0),
            )
            if value < least
        ]
        top = self.top_percent
        if top is not None and not 0 < top <= 100:
            found.append(
                '--top-percent: wanted per cent of an image in (0, 100], got '
                f'{top}'
            )
        elif top is not None and not self.budget.per_image:
            found.append(
                f'--top-percent: not together with {key}; the top per cent '
                'is always of one image: leave it out'
            )
        return found


@dataclass
class ClassMaps:
    """What each image was predicted as, kept small.

    A global budget is spent when all images were seen; only then is it known
    which of their pixels are picks.
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
        """The same, in as many bytes as the number of classes needs."""
        packed, shape = self._packed[name]
        plain = np.frombuffer(zlib.decompress(packed), self._kind)
        return plain.reshape(shape)

    @property
    def _kind(self) -> type[np.unsignedinteger]:
        return np.uint8 if self.classes <= 256 else np.uint16


@dataclass
class Query:
    """A query that was made.

    Attributes:
        request: What was asked for.
        heuristic: The one that scored, as in a config.
        trained: The network.
        scorer: Scores any of the images again.
        built: The same, built.
        selection: The picks.
        maps: What the images are predicted as.
        means: float32 (P,), the mean score of each image.
        seconds: Wall clock of scoring all images.
        notes: On what was translated in the config.
    """

    request: Request
    heuristic: dict[str, Any]
    trained: Trained
    scorer: Scorer
    built: BaseHeuristic
    selection: Selection
    maps: ClassMaps
    means: NDArray[np.float32]
    seconds: float
    notes: list[str]

    @property
    def pool(self) -> Pool:
        """The images."""
        return self.scorer.pool

    def path(self, name: str) -> str:
        """Path of an image, seen from the folder."""
        infos = self.pool.dataset.img_infos
        return Path(infos[self.pool.position[name]]['filename']).as_posix()

    def scores(self, names: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The score maps of some images, made again."""
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
    """Ask which pixels, or images, of a folder to label.

    Args:
        cfg: As loaded: of SegAL or of mmseg; its data need not exist.
        checkpoint: Weights of its network.
        folder: Searched for images, its subfolders too.
        request: What is asked for.

    Raises:
        ConfigError: Everything that is wrong with config and request.
        DataError: No images, or some that cannot be decoded.
        StateError: The checkpoint cannot be read, or does not fit.
    """
    heuristic, problems = _heuristic(cfg, request.heuristic)
    pipeline, notes = _pipeline(cfg, problems)
    problems += request.problems()
    if problems:
        raise ConfigError(problems)
    built = _built_heuristic(heuristic)
    device = torch.device('cpu')
    if torch.cuda.is_available():
        device = torch.device('cuda', torch.cuda.current_device())
    trained = load_trained(cfg, checkpoint, device)
    if 'samples' in built.needs:
        check_dropout(trained.wrapper.model)
    pool = open_folder(folder, pipeline, trained)
    scorer = Scorer(pool, request.seed, request.batch_size, request.workers)
    begin = time.perf_counter()
    selection, maps, means = select(scorer, built, request, trained.wrapper)
    seconds = time.perf_counter() - begin
    return Query(
        request, heuristic, trained, scorer, built, selection, maps, means,
        seconds, notes,
    )  # fmt: skip


def select(
    scorer: Scorer,
    heuristic: BaseHeuristic,
    request: Request,
    wrapper: ModelWrapper,
) -> tuple[Selection, ClassMaps, NDArray[np.float32]]:
    """Score every image of a pool, and spend the budget on it.

    Args:
        scorer: Of the pool; every place of it may be asked.
        heuristic: Gives the scores.
        request: Budget and seed.
        wrapper: The network.

    Returns:
        The picks, the class maps, and the mean score of each image.
    """
    images = scorer.pool.images
    selector = SELECTORS.build(
        dict(
            request.selector,
            images=images,
            free=np.array([image.pixels for image in images], np.int64),
            budget=request.budget,
            round=FIRST_QUERY,
            seed=request.seed,
        )
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
        ('probs',),
    ):
        selector.shortlist(image, score, np.ones(image.size, bool))
        probs = prediction.probs
        assert probs is not None
        maps = maps or ClassMaps(len(probs))
        maps.put(image.name, wrapper.classes(probs[None])[0].cpu().numpy())
        means[scorer.pool.position[image.name]] = score.mean(dtype=np.float64)
    assert maps is not None
    return selector.choose([selector.candidates()]), maps, means


def open_folder(folder: Path, pipeline: Any, trained: Trained) -> Pool:
    """The images of a folder, without annotations.

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
    try:
        dataset = CustomDataset(
            pipeline,
            img_dir=str(folder.absolute()),
            # the same: no draw depends on where the folder lies
            data_root=str(folder.absolute()),
            img_suffix=tuple(x for y in SUFFIXES for x in (y, y.upper())),
            classes=trained.classes,
            palette=trained.palette,
            test_mode=True,
        )
    except SegALError:
        raise
    except Exception as error:
        raise ConfigError(
            not_built('data.query.pipeline', pipeline, error)
        ) from error
    if not len(dataset):
        raise DataError(
            f'{folder}: wanted images ({", ".join(SUFFIXES)}) in it or its '
            'subfolders, got none; correct the path'
        )
    return open_pool(dataset, key=str(folder))


def parse_heuristic(text: str) -> Any:
    """A heuristic from the command line.

    Args:
        text: Its name; or JSON or Python, such as
            ``"dict(type='Smoothed', of='margin', k=2)"``. Nothing is run.

    Raises:
        ConfigError: It is neither.
    """
    if not any(mark in text for mark in '({'):
        return text
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return ast.literal_eval(_Dicts().visit(ast.parse(text, mode='eval')))
    except (ValueError, TypeError, SyntaxError) as error:
        raise ConfigError(
            "--heuristic: wanted a name, JSON, or dict(type='...', ...) of "
            f'plain values; got {text!r} ({error})'
        ) from error


class _Dicts(ast.NodeTransformer):
    """``dict(a=1)`` as ``{'a': 1}``, which is a literal."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """One call; what is no plain ``dict(...)`` stays, and is refused."""
        self.generic_visit(node)
        plain = isinstance(node.func, ast.Name) and node.func.id == 'dict'
        names = [pair.arg for pair in node.keywords]
        if not plain or node.args or None in names:
            return node
        keys: list[ast.expr | None] = [ast.Constant(name) for name in names]
        return ast.Dict(keys, [pair.value for pair in node.keywords])


def _heuristic(cfg: Config, asked: Any) -> tuple[dict[str, Any], list[str]]:
    """The heuristic that was asked for, or the config's, and problems."""
    active = cfg.get('active_learning')
    options = None
    if asked is None and isinstance(active, Mapping):
        asked = active.get('heuristic')
        options = active.get('heuristic_cfg')
    resolved, problems = resolve_heuristic(
        'margin' if asked is None else asked, options
    )
    beyond = sorted(_BEYOND & set(needs('heuristic', resolved)))
    if beyond:
        problems = [
            f'active_learning.heuristic: {resolved["type"]} needs '
            f'{", ".join(beyond)}, which only an experiment has; here one '
            'network is asked: choose another with --heuristic'
        ]
    return _plain(resolved), problems


def _plain(part: Any) -> Any:
    """Dicts of mmcv as plain ones."""
    if isinstance(part, Mapping):
        return {key: _plain(value) for key, value in part.items()}
    return part


def _built_heuristic(part: dict[str, Any]) -> BaseHeuristic:
    try:
        return HEURISTICS.build(dict(part))
    except Exception as error:
        raise ConfigError(
            not_built('active_learning.heuristic', part, error)
        ) from error


def _pipeline(cfg: Config, problems: list[str]) -> tuple[Any, list[str]]:
    """The config's test pipeline without ground truth, and notes on it."""
    found, notes = test_pipeline_of(cfg)
    if not found:
        problems.append(
            'data.query.pipeline: wanted a test pipeline there, in data.test, '
            'in data.val or as test_pipeline; got none'
        )
    return found, notes
