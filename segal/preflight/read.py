"""Read an experiment: its config, checked against its data."""

from __future__ import annotations

from pathlib import Path

from mmcv import Config
from mmcv.runner import RUNNERS

from segal.config import ActiveLearningConfig, check_against_data, read_config
from segal.config.shapes import data_sets
from segal.distributed import ranks
from segal.errors import ConfigError
from segal.experiment.data import Data, build_data, missing_paths
from segal.experiment.image_summary import show
from segal.openmmlab.built import understood
from segal.preflight.smoke import (
    images_of_a_smoke_run,
    scale_budgets,
    shorten,
    smoke_warning,
)
from segal.runner import ActiveLearningRunner


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
        notes.insert(0, smoke_warning(data.pool))
    problems = check_against_data(cfg, config, data.pool.images, data.classes)
    shown = config.visualize
    channels = None if shown is None else shown.channels
    problems += show(data.pool, channels, notes)
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
