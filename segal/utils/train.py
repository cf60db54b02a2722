"""Run an experiment: prepare, build, run."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmcv import Config
from mmcv.runner import build_runner
from mmcv.utils import build_from_cfg

import segal.datasets
import segal.hooks
import segal.models  # noqa: F401  (fills mmcv's and mmseg's registries)
from segal.active.active_loop import ActiveLearningLoop
from segal.active.label_store.store import LabelStore
from segal.active.units import QueryUnit
from segal.config import ActiveLearningConfig, fingerprint
from segal.config.places import check_checkpoints
from segal.config.smoke import clear, words
from segal.distributed import ranks
from segal.distributed.launching import running_on
from segal.experiment.data import Data
from segal.experiment.features import features_folder, needs_of
from segal.experiment.phase import PhaseBuilder
from segal.experiment.read import read_experiment
from segal.experiment.selecting import (
    openings_of,
    selectors_of,
    unit_of_config,
)
from segal.experiment.work_dir import check_pool, claim, describe, open_log
from segal.features import BaseExtractor
from segal.features.of_pool import PoolFeatures
from segal.models.losses.at_labels import describe as describe_losses
from segal.preflight import Rehearsal
from segal.preflight.run import rehearse
from segal.preflight.schedules import say_schedule
from segal.preflight.summary import (
    described,
    plan_of,
    planned_spans,
    summarise,
)
from segal.registry import FEATURES, HEURISTICS, ORACLES
from segal.runner.experiment import Experiment, QueryStrategy
from segal.runner.lock import locked
from segal.runner.machine import keep_machine


@dataclass(frozen=True)
class Options:
    """Options of the command line, beside the config.

    Attributes:
        work_dir: Where everything is written.
        resume: True: must continue; False: must begin; None: whichever fits.
        dry_run: Print the plan, and stop.
        smoke: Run one iteration of everything, on a few images.
    """

    work_dir: Path
    resume: bool | None = None
    dry_run: bool = False
    smoke: bool = False


@dataclass(frozen=True)
class Prepared:
    """An experiment that was read and checked, before any label is bought.

    Attributes:
        cfg: Translated config.
        config: Its ``active_learning``, read and checked.
        data: The data sets.
        options: Of the command line.
        device: Where to train.
        logger: Where messages go.
        unit: What is asked.
        extractor: Describes images; None where nothing does.
        plan: What ``--dry-run`` prints; else empty.
    """

    cfg: Config
    config: ActiveLearningConfig
    data: Data
    options: Options
    device: torch.device
    logger: logging.Logger
    unit: QueryUnit
    extractor: BaseExtractor | None
    plan: str


def run_experiment(cfg: Config, options: Options) -> list[dict[str, Any]]:
    """Run an experiment, or continue it.

    Args:
        cfg: As loaded.
        options: Of the command line.

    Returns:
        The rows of ``rounds.json``.
    """
    prepared = prepare(cfg, options)
    if options.dry_run:
        prepared.logger.info('\n%s', prepared.plan)
        return []
    with locked(options.work_dir, prepared.logger):
        return run(build(prepared), prepared)


def prepare(cfg: Config, options: Options) -> Prepared:
    """Read the config and the data, and check both before labels are bought.

    Raises:
        SegALError: Anything that would fail later, all of it at once.
    """
    work_dir = options.work_dir
    if options.smoke and not options.dry_run:
        with ranks.together():
            if ranks.is_main():
                clear(work_dir)
    device = torch.device('cpu')
    if torch.cuda.is_available():
        device = torch.device('cuda', torch.cuda.current_device())
    logger = open_log(cfg, work_dir, options.dry_run)
    logger.info(running_on())
    config, data, notes = read_experiment(
        cfg, None if options.dry_run else work_dir, options.smoke
    )
    if options.dry_run:
        check_checkpoints(cfg)
    for note in notes:
        logger.info(note)
    unit = unit_of_config(config, data.pool, work_dir / 'superpixels')
    problems: tuple[str, ...] = ()
    if not options.smoke:
        spans = planned_spans(cfg, config, data, unit)
        problems = say_schedule(cfg, config, spans, logger)
    extractor = None
    if config.features is not None:
        extractor = build_from_cfg(dict(config.features), FEATURES)
    initial, later = selectors_of(config, unit, None)
    selectors = {
        'active_learning.selector': later,
        'active_learning.selector (at first)': initial,
    }
    _, opening = openings_of(config)
    if opening is not None:
        where = 'active_learning.settings.mixed.selector'
        selectors[where] = opening.make_selector
    model = rehearse(
        Rehearsal(cfg, config, data, selectors, device, extractor, problems),
        weights=not options.dry_run
        and ranks.broadcast(not (work_dir / 'labels').exists()),
        logger=logger,
    )
    if config.loss_at_labels:
        logger.info(describe_losses(model))
    plan = ''
    if options.dry_run:
        features = described(config, data, extractor, device)
        plan = plan_of(cfg, config, data, model, features, unit)
    return Prepared(
        cfg, config, data, options, device, logger, unit, extractor, plan
    )


def build(prepared: Prepared) -> Experiment:
    """Claim the work_dir, and build the parts of the experiment.

    Raises:
        StateError: The work_dir holds another experiment.
    """
    cfg, config, data = prepared.cfg, prepared.config, prepared.data
    device, logger = prepared.device, prepared.logger
    work_dir = prepared.options.work_dir
    with ranks.together():
        if ranks.is_main():
            claim(cfg, work_dir, prepared.options.resume)
            check_pool(data.pool.images, work_dir)
    keep_machine(work_dir, device, logger)
    store = LabelStore(
        work_dir / 'labels', data.pool.images, fingerprint(cfg, config)
    )
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
    workers = loader['workers_per_gpu']
    features = None
    if prepared.extractor is not None:
        folder = features_folder(prepared.extractor, work_dir)
        features = PoolFeatures(
            data.pool, prepared.extractor, device, folder, workers, logger
        )
        features.prepare(needs_of(config))
    loop = ActiveLearningLoop(
        data.pool,
        store,
        oracle,
        config.seed,
        loader['samples_per_gpu'],
        workers,
        features,
    )
    return Experiment(
        config,
        PhaseBuilder(cfg, config, data, store, work_dir, device, logger),
        loop,
        *_strategies(config, prepared.unit, store),
        work_dir,
        logger,
        data.classes,
        data.palette,
    )


def _strategies(
    config: ActiveLearningConfig, unit: QueryUnit, store: LabelStore
) -> tuple[QueryStrategy, QueryStrategy]:
    """Build the strategy of the initial labels, and that of the queries."""
    select_initial, select = selectors_of(config, unit, store)
    open_initial, opening = openings_of(config)
    score_initial = build_from_cfg(dict(config.initial_heuristic), HEURISTICS)
    score = build_from_cfg(dict(config.heuristic), HEURISTICS)
    return (
        QueryStrategy(score_initial, select_initial, open_initial),
        QueryStrategy(score, select, opening),
    )


def run(experiment: Experiment, prepared: Prepared) -> list[dict[str, Any]]:
    """Run all rounds, and log the table of them.

    Returns:
        The rows of ``rounds.json``.
    """
    begin = time.perf_counter()
    runner = build_runner(
        dict(prepared.cfg.runner), default_args=dict(experiment=experiment)
    )
    rows = runner.run()
    if ranks.is_main():
        pool, logger = prepared.data.pool, experiment.logger
        summarise(
            rows,
            len(pool),
            experiment.config,
            experiment.work_dir,
            time.perf_counter() - begin,
            logger,
        )
        if prepared.options.smoke:
            logger.info('\n%s', words(pool))
    return rows
