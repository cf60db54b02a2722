"""The one place where parts are built from a config and joined."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmcv import Config
from mmcv.runner import build_runner
from mmcv.utils import build_from_cfg
from mmseg.utils import get_root_logger
from torch import nn

import segal.datasets
import segal.hooks
import segal.models
import segal.runner  # noqa: F401  (fills mmcv's and mmseg's registries)
from segal import distributed as ranks
from segal.active.active_loop import ActiveLearningLoop, SelectorFactory
from segal.active.dataset.mixed_sampler import batch_sampler
from segal.active.dataset.pool import Pool
from segal.active.label_store import LabelStore
from segal.active.opening import Opening
from segal.active.pool_file import read_pool
from segal.active.regions import RegionShape
from segal.active.selectors import BaseSelector
from segal.active.spending import Spending
from segal.config import (
    ActiveLearningConfig,
    check_against_data,
    differing_keys,
    dump_config,
    fingerprint,
    plan,
    read_config,
)
from segal.config.built import not_built
from segal.config.planned import cumulated, planned
from segal.errors import ConfigError, SegALError, StateError
from segal.features import BaseExtractor, FrozenExtractor
from segal.features.of_pool import PoolFeatures
from segal.files import replace_file, replace_json
from segal.launching import running_on
from segal.registry import FEATURES, HEURISTICS, ORACLES, REGIONS, SELECTORS
from segal.runner.lock import locked
from segal.runner.machine import keep_machine
from segal.runner.rounds import read_rounds
from segal.structures import Budget, PoolImage
from segal.utils.data import Data, build_data, missing_paths
from segal.utils.features import (
    cost,
    describe_first,
    features_folder,
    needs_of,
)
from segal.utils.labelled_loss import describe as describe_losses
from segal.utils.network import checkpoint_bytes
from segal.utils.phase import PhaseBuilder
from segal.utils.rehearsal import Rehearsal, rehearse
from segal.utils.smoke import (
    clear,
    images_of_a_smoke_run,
    scale_budgets,
    shorten,
    words,
)
from segal.utils.table import format_rounds


@dataclass(frozen=True)
class Options:
    """The command line, beside the config.

    Attributes:
        work_dir: Where everything is written.
        resume: True: must go on; False: must begin; None: whichever fits.
        dry_run: Say what would be done, and stop.
        smoke: One iteration of everything, on a few images.
    """

    work_dir: Path
    resume: bool | None = None
    dry_run: bool = False
    smoke: bool = False


def read_experiment(
    cfg: Config,
    cache: Path | None,
    smoke: bool = False,
) -> tuple[ActiveLearningConfig, Data, list[str]]:
    """Read and check a config against its data, before any model is built.

    Args:
        cfg: As loaded; translated in place.
        cache: Folder to remember image sizes in.
        smoke: Whether a little of everything is enough.

    Returns:
        The active learning, the data sets, and notes on what was translated.

    Raises:
        ConfigError: Everything that is wrong, at once.
        DataError: Images that cannot be read.
    """
    config, problems, notes = read_config(cfg)
    if problems:
        sections = cfg.get('data')
        for key in ('query', 'val') if isinstance(sections, Mapping) else ():
            if isinstance(sections.get(key), dict):
                problems += missing_paths(f'data.{key}', sections[key])
        raise ConfigError(problems)
    assert config is not None
    few = None
    if smoke:
        few = images_of_a_smoke_run(cfg, ranks.world_size())
        config = shorten(cfg, config)
    data = build_data(cfg, cache, few)
    if smoke:
        config = scale_budgets(config, data.images, len(data.pool))
        notes.insert(0, words(data.pool))
    problems = check_against_data(cfg, config, data.pool.images, data.classes)
    if problems:
        raise ConfigError(problems)
    return config, data, notes


def run_experiment(cfg: Config, options: Options) -> list[dict[str, Any]]:
    """Run, or go on with, an experiment.

    Args:
        cfg: As loaded.
        options: The command line.

    Returns:
        The rows of ``rounds.json``.
    """
    work_dir = options.work_dir
    if options.smoke and not options.dry_run:
        with ranks.together():
            if ranks.is_main():
                clear(work_dir)
    device = (
        torch.device('cuda', torch.cuda.current_device())
        if (torch.cuda.is_available())
        else torch.device('cpu')
    )
    logger = _open_log(cfg, work_dir, options.dry_run)
    logger.info(running_on())
    config, data, notes = read_experiment(
        cfg, None if options.dry_run else work_dir, options.smoke
    )
    for note in notes:
        logger.info(note)
    experiment = fingerprint(cfg, config)
    shape = _shape(config, data.pool, work_dir / 'superpixels')
    initial_rehearsed, rehearsed = _selectors(config, shape, None)
    extractor = None
    if config.features is not None:
        extractor = build_from_cfg(dict(config.features), FEATURES)
    model = rehearse(
        Rehearsal(
            cfg,
            config,
            data,
            {
                'active_learning.selector': rehearsed,
                'active_learning.selector (at first)': initial_rehearsed,
            },
            device,
            extractor,
        ),
        weights=not options.dry_run
        and ranks.broadcast(not (work_dir / 'labels').exists()),
    )
    if config.loss_at_labels:
        logger.info(describe_losses(model))
    if options.dry_run:
        described = _described(config, data, extractor, device)
        logger.info('\n%s', _plan(cfg, config, data, model, described, shape))
        return []
    del model
    heuristic = build_from_cfg(dict(config.heuristic), HEURISTICS)
    initial_heuristic = build_from_cfg(
        dict(config.initial_heuristic), HEURISTICS
    )
    needs = needs_of(config)
    with locked(work_dir, logger):
        with ranks.together():
            if ranks.is_main():
                _claim(cfg, work_dir, options.resume)
                _check_pool(data.pool.images, work_dir)
        keep_machine(work_dir, device, logger)
        store = LabelStore(work_dir / 'labels', data.pool.images, experiment)
        with ranks.together():
            if ranks.is_main():
                _describe(data, work_dir)
        oracle = build_from_cfg(
            dict(config.oracle),
            ORACLES,
            dict(
                read=data.annotation,
                pool=data.pool.images,
                classes=data.classes,
                ignore_index=config.ignore_index,
            ),
        )
        logger.info(oracle.describe())
        loader = {
            'samples_per_gpu': 1,
            'workers_per_gpu': cfg.data.get('workers_per_gpu', 2),
            **cfg.data.get('query_dataloader', {}),
        }
        features = None
        if extractor is not None:
            features = PoolFeatures(
                data.pool,
                extractor,
                device,
                features_folder(extractor, work_dir),
                loader['workers_per_gpu'],
                logger,
            )
            features.prepare(needs)
        loop = ActiveLearningLoop(
            data.pool,
            store,
            oracle,
            config.seed,
            loader['samples_per_gpu'],
            loader['workers_per_gpu'],
            features,
        )
        make_initial_selector, make_selector = _selectors(config, shape, store)
        initial_opening, opening = _openings(config)
        runner = build_runner(
            dict(cfg.runner),
            default_args=dict(
                config=config,
                loop=loop,
                work_dir=work_dir,
                logger=logger,
                factory=PhaseBuilder(
                    cfg, config, data, store, work_dir, device, logger
                ),
                heuristic=heuristic,
                initial_heuristic=initial_heuristic,
                make_selector=make_selector,
                make_initial_selector=make_initial_selector,
                opening=opening,
                initial_opening=initial_opening,
                classes=data.classes,
                palette=data.palette,
            ),
        )
        begin = time.perf_counter()
        rows = runner.run()
        if ranks.is_main():
            _summarise(
                rows,
                len(data.pool),
                config,
                work_dir,
                time.perf_counter() - begin,
                logger,
            )
            if options.smoke:
                logger.info('\n%s', words(data.pool))
        return rows


def _selectors(
    config: ActiveLearningConfig,
    shape: RegionShape | None,
    store: LabelStore | None,
) -> tuple[SelectorFactory, SelectorFactory]:
    """What builds the selector of the initial draw, and that of a query.

    Args:
        config: What the user wrote, read.
        shape: Of regions.
        store: What was asked so far; None where that is nothing.
    """
    seed, spending = config.seed, config.spending
    given = {} if shape is None else dict(shape=shape)
    paid = spending if spending and not spending.first else None
    return (
        partial(
            _selector,
            {**config.initial_selector, **given},
            config.initial,
            paid,
            store,
            seed,
            0.0,
        ),
        partial(
            _selector,
            {**config.selector, **given},
            config.budget,
            spending,
            store,
            seed,
            config.shuffle_prop,
        ),
    )


def _openings(
    config: ActiveLearningConfig,
) -> tuple[Opening | None, Opening | None]:
    """Which images the initial draw opens, and a query; None: all are."""
    mixed = config.mixed
    if mixed is None:
        return None, None

    def opener(part: dict[str, Any], images: int) -> SelectorFactory:
        budget = Budget(images, False)
        return partial(_selector, part, budget, None, None, config.seed, 0.0)

    return (
        Opening(
            opener(mixed.initial_selector, mixed.initial),
            mixed.initial,
            config.initial,
        ),
        Opening(
            opener(mixed.selector, mixed.images),
            mixed.images,
            config.budget,
            mixed.split,
            mixed.first_pixels,
            mixed.opening_pixels,
        ),
    )


def _shape(
    config: ActiveLearningConfig, pool: Pool, cache: Path
) -> RegionShape | None:
    """The shape of regions; None where none are asked.

    Raises:
        ConfigError: One of its options has no meaning.
    """
    if config.shape is None:
        return None
    given = {}
    if REGIONS.get(config.shape['type']).reads_images:
        given = dict(read_image=pool.read_image, file=pool.file, cache=cache)
    try:
        return build_from_cfg(dict(config.shape), REGIONS, given)
    except SegALError:
        raise
    except Exception as error:
        raise ConfigError(
            not_built(
                'active_learning.settings.region.shape', config.shape, error
            )
        ) from error


def _selector(
    part: dict[str, Any],
    usual: Budget,
    spending: Spending | None,
    store: LabelStore | None,
    seed: int,
    shuffle_prop: float,
    **standing: Any,
) -> BaseSelector:
    """A selector for one round, with what a budget in cost pays for.

    The loop says how the round stands, and, where it splits the usual budget,
    ``budget``.
    """
    if spending is not None:
        file, askable = standing['round'], standing['free'] > 0  # (P,)
        opened = standing.get('opened')  # None where nothing was
        earlier = [store.asked(k) for k in range(file)] if store else []
        fresh = askable if opened is None else askable & ~opened
        usual = Budget(spending.count(earlier, int(fresh.sum())), False)
    return build_from_cfg(
        dict(part),
        SELECTORS,
        dict(
            **{'budget': usual, **standing},
            seed=seed,
            shuffle_prop=shuffle_prop,
        ),
    )


def _open_log(
    cfg: Config,
    work_dir: Path,
    dry_run: bool,
) -> logging.Logger:
    """Mmseg's logger, into a file of the work_dir."""
    file = None
    if not dry_run:
        try:
            work_dir.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise StateError(
                f'--work-dir {work_dir}: wanted a folder, or a name for one, '
                f'got a file ({error.filename}); name another'
            ) from error
        file = str(work_dir / time.strftime('%Y%m%d_%H%M%S.log'))
    return get_root_logger(file, cfg.get('log_level', 'INFO'))


def _claim(cfg: Config, work_dir: Path, resume: bool | None) -> None:
    """Make the work_dir this experiment's, or show that it is already.

    Raises:
        StateError: It holds another experiment, or something although a new
            one was asked for, or nothing although an old one was.
    """
    path = work_dir / 'config.json'
    if path.exists():
        if resume is False and (
            (work_dir / 'labels').exists() or read_rounds(work_dir)
        ):
            raise StateError(
                f'{work_dir}: wanted an empty work_dir (--no-resume), got '
                'one that holds an experiment; name another with --work-dir, '
                'or move this one away'
            )
        try:
            old = json.loads(path.read_text())
            if not isinstance(old, dict):
                raise ValueError(f'wanted a dict, got {type(old).__name__}')
        except (OSError, ValueError) as error:
            raise StateError(
                f'{path}: wanted the config of the experiment, got a file '
                f'that cannot be read as that ({error}); restore it from a '
                'copy'
            ) from (error)
        changed = differing_keys(old, cfg)
        if changed:
            listed = '\n    '.join(changed[:20])
            raise StateError(
                f'{work_dir}: wanted the experiment of this config, got '
                f'another; these keys differ:\n    {listed}\n  name another '
                'folder with --work-dir, or take the changes back'
            )
    elif (work_dir / 'labels').exists():
        raise StateError(
            f'{work_dir}: holds labels, but no config.json that says of '
            'which experiment; restore it, or name another folder with '
            '--work-dir'
        )
    elif resume:
        raise StateError(
            f'{work_dir}: wanted an experiment to go on with (--resume), got '
            'none there; correct --work-dir, or leave --resume out'
        )
    read_rounds(work_dir)  # hurt, it is said before anything is written
    replace_file(path, dump_config(cfg))
    replace_file(work_dir / 'config.py', cfg.pretty_text)


def _check_pool(images: Sequence[PoolImage], work_dir: Path) -> None:
    """Whether the pool is the one that the work_dir's labels are of.

    Args:
        images: Of ``data.query``.
        work_dir: The experiment's folder; where its ``pool.json`` is missing
            or hurt, the label files say the same with a fingerprint.

    Raises:
        StateError: It is not; the images that came and went are named.
    """
    if not (work_dir / 'labels').exists():
        return
    try:
        before = {one.name: one.size for one in read_pool(work_dir).images}
    except StateError:
        return
    now = {image.name: tuple(image.size) for image in images}
    kinds = {
        'new': [name for name in now if name not in before],
        'gone': [name for name in before if name not in now],
        'of another size': [
            name
            for name in now
            if name in before and tuple(before[name]) != now[name]
        ],
    }
    if not any(kinds.values()) and list(before) != list(now):
        kinds['in another order'] = list(now)
    said = [
        f'{len(names)} {kind} ({", ".join(names[:3])}'
        + (', ...)' if len(names) > 3 else ')')
        for kind, names in kinds.items()
        if names
    ]
    if said:
        raise StateError(
            f'data.query: wanted the pool of {len(before)} images that '
            f'{work_dir} was begun with, got another: {"; ".join(said)}; put '
            'the images back as they were, or name another folder with '
            '--work-dir'
        )


def _describe(data: Data, work_dir: Path) -> None:
    """``pool.json``: what tools need to know of the pool."""
    pool = data.pool
    replace_json(
        work_dir / 'pool.json',
        dict(
            images=[
                dict(
                    name=image.name,
                    size=list(image.size),
                    file=str(Path(pool.file(image.name)).absolute()),
                )
                for image in pool
            ],
            classes=list(data.classes),
            palette=data.palette.tolist(),
        ),
    )


def _plan(
    cfg: Config,
    config: ActiveLearningConfig,
    data: Data,
    model: nn.Module,
    described: str,
    shape: RegionShape | None,
) -> str:
    """What ``--dry-run`` says."""
    lengths = []
    region = shape.typical_pixels(data.pool[0]) if shape else 1
    asked = cumulated(planned(config, data.pool.images, region))
    batch = {**cfg.data, **(cfg.data.get('train_dataloader') or {})}
    for index, phase in enumerate(config.phases):
        sampler = batch_sampler(
            asked[index].opened,
            data.source_images,
            batch['samples_per_gpu'],
            config.sources.per_batch,
            config.seed,
            index,
            world_size=ranks.world_size(),
            drop_last=batch.get('drop_last', False),
        )
        lengths.append(phase.train * (len(sampler) if config.by_epoch else 1))
    return plan(
        cfg,
        config,
        data.pool.images,
        lengths,
        checkpoint_bytes(model),
        ranks.world_size(),
        data.source_images,
        described,
        region,
    )


def _described(
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


def _summarise(
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
