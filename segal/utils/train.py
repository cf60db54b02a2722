"""Run an experiment: prepare, build, run."""

from __future__ import annotations

import logging
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmcv import Config
from mmcv.runner import build_runner
from mmcv.utils import build_from_cfg

import segal.datasets
import segal.hooks
import segal.models  # noqa: F401  (fills mmcv's and mmseg's registries)
from segal import terminal
from segal.active.active_loop import ActiveLearningLoop
from segal.active.dataset.read_files import check_read_files
from segal.active.label_store.store import LabelStore
from segal.active.units import QueryUnit
from segal.config import ActiveLearningConfig, fingerprint
from segal.config.places import check_checkpoints, local_checkpoints
from segal.distributed import ranks
from segal.distributed.launching import own_device, running_on
from segal.experiment.features import features_folder, needs_of
from segal.experiment.phase import PhaseBuilder
from segal.experiment.selecting import (
    build_oracle,
    openings_of,
    selectors_of,
    unit_of_config,
)
from segal.experiment.work_dir import (
    check_pool,
    claim,
    describe,
    on_terminal,
    open_log,
)
from segal.features.of_pool import PoolFeatures
from segal.models.losses.at_labels import describe as describe_losses
from segal.models.speed import limit_memory
from segal.preflight import (
    Preflight,
    check_experiment,
    plan_of,
    read_experiment,
)
from segal.preflight.read import clear_folder, smoke_warning
from segal.registry import FEATURES, HEURISTICS
from segal.rounds import read_rounds
from segal.runner.experiment import Experiment, QueryStrategy
from segal.runner.lock import locked
from segal.runner.machine import keep_machine
from segal.visualization.table import format_rounds


@dataclass(frozen=True)
class Options:
    """Options of the command line, beside the config.

    Attributes:
        work_dir: Where everything is written.
        resume: True: must continue; False: must begin; None: whichever fits.
        dry_run: Print the plan, and stop.
        lines: Print log lines on a terminal, too.
        smoke: Run one iteration of everything, on a few images.
    """

    work_dir: Path
    resume: bool | None = None
    dry_run: bool = False
    smoke: bool = False
    lines: bool = False


@dataclass(frozen=True)
class Prepared:
    """An experiment that was read and checked, before any label is bought.

    Attributes:
        preflight: Its config, data sets and device.
        options: Of the command line.
        logger: Where messages go.
        plan: The text of ``--dry-run``; else empty.
    """

    preflight: Preflight
    options: Options
    logger: logging.Logger
    plan: str


def run_experiment(cfg: Config, options: Options) -> list[dict[str, Any]]:
    """Run an experiment, or continue it.

    Returns:
        The rows of ``rounds.json``.
    """
    work_dir = options.work_dir
    if options.smoke and not options.dry_run:
        with ranks.together():
            if ranks.is_main():
                clear_folder(work_dir)
    logger = open_log(cfg, work_dir, options.dry_run)
    if options.dry_run:
        logger.info('\n%s', prepare(cfg, options, logger).plan)
        return []
    screen: AbstractContextManager[None] = nullcontext()
    if not options.lines:
        screen = on_terminal(work_dir.absolute().name, logger)
    with screen:
        with terminal.progress(None, 'prepare', disable=True):
            prepared = prepare(cfg, options, logger)
        with locked(work_dir, logger):
            with terminal.progress(None, 'prepare', disable=True):
                experiment = build(prepared)
            return run(experiment, prepared)


def prepare(cfg: Config, options: Options, logger: logging.Logger) -> Prepared:
    """Read the config and the data, and check both before labels are bought.

    Raises:
        SegALError: Anything that would fail later, all of it at once.
    """
    work_dir = options.work_dir
    device = own_device()
    logger.info(running_on())
    config, data, notes = read_experiment(
        cfg, None if options.dry_run else work_dir, options.smoke
    )
    limit_memory(config.speed.gpu_memory, device)
    if options.dry_run:
        check_checkpoints(cfg)
    for note in notes:
        logger.info(note)
    unit = unit_of_config(config, data.pool, work_dir / 'superpixels')
    extractor = None
    if config.features is not None:
        extractor = build_from_cfg(dict(config.features), FEATURES)
    preflight = Preflight(
        cfg, config, data, device, unit, extractor, options.smoke
    )
    model = check_experiment(
        preflight,
        weights=not options.dry_run
        and ranks.broadcast(not (work_dir / 'labels').exists()),
        logger=logger,
    )
    if config.keys.loss_at_labels:
        logger.info(describe_losses(model))
    plan = plan_of(preflight, model) if options.dry_run else ''
    return Prepared(preflight, options, logger, plan)


def build(prepared: Prepared) -> Experiment:
    """Claim the work_dir, and build the parts of the experiment.

    Raises:
        StateError: The work_dir holds another experiment.
    """
    preflight, logger = prepared.preflight, prepared.logger
    cfg, config, data = preflight.cfg, preflight.config, preflight.data
    device = preflight.device
    work_dir = prepared.options.work_dir
    with ranks.together():
        if ranks.is_main():
            claim(cfg, work_dir, prepared.options.resume)
            check_pool(data.pool, data.classes, work_dir)
    imports = (cfg.get('custom_imports') or {}).get('imports', ())
    keep_machine(work_dir, device, logger, imports)
    store = LabelStore(
        work_dir / 'labels', data.pool.images, fingerprint(cfg, config)
    )
    with ranks.together():
        if ranks.is_main():
            read = {'data.val': data.val, **data.sources}
            if config.reset.weights:
                read |= local_checkpoints(cfg)
            check_read_files(read, work_dir, bool(read_rounds(work_dir)))
            describe(data.pool, data.classes, data.palette, work_dir)
    oracle = build_oracle(config, data, work_dir, preflight.smoke)
    logger.info(oracle.describe())
    loader = {
        'samples_per_gpu': 1,
        'workers_per_gpu': cfg.data.get('workers_per_gpu', 2),
        **cfg.data.get('query_dataloader', {}),
    }
    workers = loader['workers_per_gpu']
    features = None
    if preflight.extractor is not None:
        folder = features_folder(preflight.extractor, work_dir)
        features = PoolFeatures(
            data.pool, preflight.extractor, device, folder, workers, logger
        )
        features.prepare(needs_of(config))
    loop = ActiveLearningLoop(
        data.pool,
        store,
        oracle,
        config.seed,
        batch_size=loader['samples_per_gpu'],
        workers=workers,
        features=features,
    )
    return Experiment(
        config,
        PhaseBuilder(cfg, config, data, store, work_dir, device, logger),
        loop,
        *_strategies(config, preflight.unit, store),
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
        dict(prepared.preflight.cfg.runner),
        default_args=dict(experiment=experiment),
    )
    rows = runner.run()
    if ranks.is_main():
        summarise(rows, experiment, time.perf_counter() - begin)
        if prepared.options.smoke:
            warning = smoke_warning(prepared.preflight.data.pool)
            experiment.logger.info('\n%s', warning)
            terminal.finish(f'\n{warning}')
    return rows


def summarise(
    rows: list[dict[str, Any]], experiment: Experiment, seconds: float
) -> None:
    """Log the table of rounds, and where the results are."""
    work_dir, visualize = experiment.work_dir, experiment.config.keys.visualize
    lines = [
        '',
        format_rounds(rows, len(experiment.loop.pool)),
        '',
        f'{seconds:.0f} s in all. Look at:',
        f'  curve     {work_dir / "curve.png"}',
    ]
    if visualize is not None:
        lines.append(f'  pictures  {work_dir / visualize.dir}')
    lines += [
        f'  rounds    {work_dir / "rounds.json"}',
        f'  model     {work_dir}/round_{len(rows) - 1:03d}/final.pth',
        'Masks for a folder of images: segal predict '
        f'{work_dir} IMAGES_DIR --out DIR',
    ]
    experiment.logger.info('\n'.join(lines))
    terminal.finish('\n'.join([*lines, *terminal.log_words()]))
