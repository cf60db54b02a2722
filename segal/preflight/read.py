"""Read an experiment, and shorten it for a smoke run."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mmcv import Config
from mmcv.runner import RUNNERS
from mmseg.utils import get_root_logger

from segal.config import check_against_data, read_config
from segal.config.inherited import SECTIONS
from segal.config.schema import ActiveLearningConfig, Phase
from segal.config.shapes import data_sets
from segal.config.spans import LENGTH
from segal.distributed import ranks
from segal.errors import ConfigError, StateError
from segal.experiment.data import Data, build_data, missing_paths
from segal.experiment.image_summary import doubtful_bands, show
from segal.openmmlab.built import understood
from segal.runner import ActiveLearningRunner
from segal.structures import Budget


@understood()
def read_experiment(
    cfg: Config,
    cache: Path | None,
    smoke: bool = False,
) -> tuple[ActiveLearningConfig, Data, list[str]]:
    """Read a config, and check it against its data, before a model is built.

    Args:
        cfg: As loaded; translated in place.
        cache: Folder to remember image sizes in.
        smoke: Whether to take one batch of images and short phases.

    Returns:
        The ``active_learning`` section, the data sets, and notes on what was
        translated.

    Raises:
        ConfigError: Everything that is wrong, at once.
        DataError: Images that cannot be read.
    """
    config, problems, notes = read_config(cfg)
    if problems:
        for key, section in data_sets(cfg, 'query', 'val'):
            if isinstance(section, dict):
                problems += missing_paths(key, section)
        raise ConfigError(problems)
    assert config is not None
    _check_runner(cfg.runner.type)
    few = None
    if smoke:
        few = images_of_a_smoke_run(cfg, ranks.world_size())
        config = shorten(cfg, config)
    data = build_data(cfg, cache, few)
    if smoke:
        config = scale_budgets(config, data.images, len(data.pool))
        notes.insert(0, smoke_warning(data.pool))
    problems = check_against_data(cfg, config, data.pool.images, data.classes)
    shown = config.keys.visualize
    channels = None if shown is None else shown.channels
    problems += show(data.pool, channels, notes)
    for sentence in doubtful_bands(data.pool):
        get_root_logger().warning(sentence)
    if problems:
        raise ConfigError(problems)
    return config, data, notes


def _check_runner(name: str) -> None:
    """Check that the runner of the rounds is SegAL's, or made of it."""
    kind = RUNNERS.get(name)
    if not issubclass(kind, ActiveLearningRunner):
        raise ConfigError(
            f'runner.type: {name!r} is registered by {kind.__module__}, and '
            'that class is no subclass of segal.runner.ActiveLearningRunner; '
            'take the module out of custom_imports, or make it one'
        )


SUFFIX = '_smoke'
"""Suffix of the work_dir's name."""

MARK = 'smoke.txt'
"""File that marks the work_dir of a smoke run."""

_WORDS = (
    'A smoke run lies here: one iteration of each phase, on a few images. '
    'Nothing here is a result; the next smoke run empties this folder.\n'
)


def images_of_a_smoke_run(cfg: Config, processes: int) -> int:
    """Count the images to keep of each data set: one batch, two at least."""
    data = cfg.get('data') or {}
    loader = data.get('train_dataloader') or {}
    each = loader.get('samples_per_gpu', data.get('samples_per_gpu', 1))
    return max(2, (each if isinstance(each, int) else 1) * processes)


def shorten(cfg: Config, config: ActiveLearningConfig) -> ActiveLearningConfig:
    """Cut the phases to at most two, of one iteration each.

    With one batch of images an epoch is one iteration.

    Returns:
        The config with these phases.
    """
    both = (Phase(1, query=True), Phase(1, query=False))
    phases = both[-min(2, len(config.phases)) :]
    cfg.workflow = [('train', 1), ('query', 1)]
    cfg.runner.sample_rounds = len(phases)
    for section in ('evaluation', 'checkpoint_config'):
        cfg[section].interval = 1
        cfg[section].pop('start', None)
    scaled = frozenset(f'{name}.{LENGTH}' for name in SECTIONS)
    return replace(config, phases=phases, inherited=scaled)


def scale_budgets(
    config: ActiveLearningConfig, before: int, now: int
) -> ActiveLearningConfig:
    """Scale the budgets of a pool to the images that are left of it.

    Returns:
        The config with budgets over the pool, and in cost, in proportion,
        with one request at least. Budgets for each image stay, as do those
        inside images that are opened.
    """

    def part(amount: int) -> int:
        return max(1, amount * now // before) if amount else 0

    def scaled(budget: Budget) -> Budget:
        if budget.per_image:
            return budget
        return replace(budget, amount=part(budget.amount))

    initial, spending, mixed = config.initial, config.spending, config.mixed
    if mixed is not None:
        opened = part(mixed.initial), part(mixed.images)
        mixed = replace(mixed, initial=opened[0], images=opened[1])
        return replace(config, mixed=mixed)
    if spending is not None:
        least = float(spending.dearest)
        share = max(least, spending.amount * now / before)
        spending = replace(spending, amount=share)
        counted = Budget(spending.count([], 0), per_image=False)
        return replace(
            config,
            initial=scaled(initial) if spending.first else counted,
            budget=counted,
            spending=spending,
        )
    return replace(
        config, initial=scaled(initial), budget=scaled(config.budget)
    )


def clear_folder(work_dir: Path) -> None:
    """Empty the folder of a smoke run.

    Raises:
        StateError: It holds something else.
    """
    if work_dir.exists():
        if not (work_dir / MARK).is_file() and (
            not work_dir.is_dir() or any(work_dir.iterdir())
        ):
            raise StateError(
                f'{work_dir}: wanted an empty folder, or that of an earlier '
                'smoke run, got something else; name another '
                'with --work-dir, or move it away'
            )
        shutil.rmtree(work_dir)
    work_dir.mkdir(parents=True)
    (work_dir / MARK).write_text(_WORDS)


def smoke_folder(work_dir: Path) -> Path:
    """Return the folder of an experiment's smoke run."""
    return work_dir.with_name(work_dir.name + SUFFIX)


def smoke_warning(images: Sequence[object]) -> str:
    """Write the warning that begins and ends the log of a smoke run."""
    return (
        f'SMOKE RUN: {len(images)} images of each data set, one iteration of '
        'each phase. Nothing that it prints or writes is a result.'
    )
