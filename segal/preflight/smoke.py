"""Shorten an experiment to a smoke run: every step once, on a few images.

Config, code and files are those of the experiment. A smoke run shows that
training, evaluation, query, labels, pictures and checkpoints work on this
machine, before hours are spent on them. Its numbers mean nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mmcv import Config

from segal.config.fitting import LENGTH
from segal.config.inherited import SECTIONS
from segal.config.schema import ActiveLearningConfig, Phase
from segal.errors import StateError
from segal.structures import Budget

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

    Args:
        cfg: Translated; changed in place.
        config: Its ``active_learning``, read.

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
