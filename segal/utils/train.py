"""The one place where parts are built from a config and joined."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmcv import Config
from mmcv.runner import RUNNERS, build_runner
from mmcv.utils import build_from_cfg

import segal.datasets
import segal.hooks
import segal.models  # noqa: F401  (fills mmcv's and mmseg's registries)
from segal import distributed as ranks
from segal.active.active_loop import ActiveLearningLoop
from segal.active.label_store import LabelStore
from segal.config import (
    ActiveLearningConfig,
    check_against_data,
    fingerprint,
    read_config,
)
from segal.config.built import understood
from segal.config.places import check_checkpoints
from segal.errors import ConfigError
from segal.features.of_pool import PoolFeatures
from segal.launching import running_on
from segal.losses.at_labels import describe as describe_losses
from segal.registry import FEATURES, HEURISTICS, ORACLES
from segal.rehearsal import Rehearsal, rehearse
from segal.rehearsal.schedules import say_schedule
from segal.runner import ActiveLearningRunner
from segal.runner.lock import locked
from segal.runner.machine import keep_machine
from segal.utils.data import Data, build_data, missing_paths
from segal.utils.features import (
    features_folder,
    needs_of,
)
from segal.utils.outlook import (
    described,
    plan_of,
    planned_spans,
    summarise,
)
from segal.utils.phase import PhaseBuilder
from segal.utils.selecting import openings_of, selectors_of, shape_of
from segal.utils.showing import show
from segal.utils.smoke import (
    clear,
    images_of_a_smoke_run,
    scale_budgets,
    shorten,
    words,
)
from segal.utils.work_dir import check_pool, claim, describe, open_log


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


@understood()
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
    if config is None:
        raise ConfigError(
            'active_learning.settings, workflow: wanted a budget and phases; '
            'got none of use; write query_size or budget_per_round'
        )
    _check_runner(cfg.runner.type)
    few = None
    if smoke:
        few = images_of_a_smoke_run(cfg, ranks.world_size())
        config = shorten(cfg, config)
    data = build_data(cfg, cache, few)
    if smoke:
        config = scale_budgets(config, data.images, len(data.pool))
        notes.insert(0, words(data.pool))
    problems = check_against_data(cfg, config, data.pool.images, data.classes)
    shown = config.visualize
    channels = None if shown is None else shown.channels
    problems += show(data.pool, channels, notes)
    if problems:
        raise ConfigError(problems)
    return config, data, notes


def _check_runner(name: str) -> None:
    """Check that the runner of the rounds is SegAL's, or made of it.

    Raises:
        ConfigError: A module of the user's registered another one.
    """
    kind = RUNNERS.get(name)
    if not issubclass(kind, ActiveLearningRunner):
        raise ConfigError(
            f'runner.type: {name!r} is registered by {kind.__module__}, and '
            'that class is no subclass of segal.runner.ActiveLearningRunner; '
            'take the module out of custom_imports, or make it one'
        )


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
    logger = open_log(cfg, work_dir, options.dry_run)
    logger.info(running_on())
    config, data, notes = read_experiment(
        cfg, None if options.dry_run else work_dir, options.smoke
    )
    if options.dry_run:
        check_checkpoints(cfg)
    for note in notes:
        logger.info(note)
    experiment = fingerprint(cfg, config)
    shape = shape_of(config.shape, data.pool, work_dir / 'superpixels')
    problems: tuple[str, ...] = ()
    if not options.smoke:
        spans = planned_spans(cfg, config, data, shape)
        problems = say_schedule(cfg, config, spans, logger)
    initial_rehearsed, rehearsed = selectors_of(config, shape, None)
    initial_opening, opening = openings_of(config)
    rehearsals = {
        'active_learning.selector': rehearsed,
        'active_learning.selector (at first)': initial_rehearsed,
    }
    if opening is not None:
        where = 'active_learning.settings.mixed.selector'
        rehearsals[where] = opening.make_selector
    extractor = None
    if config.features is not None:
        extractor = build_from_cfg(dict(config.features), FEATURES)
    model = rehearse(
        Rehearsal(
            cfg,
            config,
            data,
            rehearsals,
            device,
            extractor,
            problems,
        ),
        weights=not options.dry_run
        and ranks.broadcast(not (work_dir / 'labels').exists()),
        logger=logger,
    )
    if config.loss_at_labels:
        logger.info(describe_losses(model))
    if options.dry_run:
        words_on = described(config, data, extractor, device)
        logger.info('\n%s', plan_of(cfg, config, data, model, words_on, shape))
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
                claim(cfg, work_dir, options.resume)
                check_pool(data.pool.images, work_dir)
        keep_machine(work_dir, device, logger)
        store = LabelStore(work_dir / 'labels', data.pool.images, experiment)
        with ranks.together():
            if ranks.is_main():
                describe(data, work_dir)
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
        make_initial_selector, make_selector = selectors_of(
            config, shape, store
        )
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
            summarise(
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
