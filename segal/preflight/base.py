"""Hold the experiment that a preflight checks, and gather its problems."""

from __future__ import annotations

import logging
import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv import Config
from mmcv.parallel import DataContainer
from numpy.typing import NDArray

from segal.active.selectors import SelectorFactory
from segal.active.units import QueryUnit
from segal.config.schema import ActiveLearningConfig
from segal.errors import ConfigError, raised_at
from segal.experiment.data import Data
from segal.experiment.network import Networks
from segal.experiment.phase_hooks import PhaseHooks
from segal.experiment.selecting import openings_of, selectors_of
from segal.features import BaseExtractor
from segal.openmmlab.built import building
from segal.seeding import seeded

QUIET = logging.getLogger('segal.preflight')
QUIET.propagate = False
QUIET.addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Preflight:
    """Hold an experiment that was read and not yet begun.

    Attributes:
        cfg: Translated config.
        config: Its ``active_learning``, read.
        data: The data sets.
        device: Where to train.
        unit: What is asked.
        extractor: Describes images; None where nothing does.
        smoke: Whether phases and data sets were shortened.
    """

    cfg: Config
    config: ActiveLearningConfig
    data: Data
    device: torch.device
    unit: QueryUnit
    extractor: BaseExtractor | None = None
    smoke: bool = False

    @property
    def networks(self) -> Networks:
        """Return the builder of networks, without a log."""
        return Networks(
            self.cfg, self.config, self.data.classes, self.device, QUIET
        )

    @property
    def hooks(self) -> PhaseHooks:
        """Return the builder of hooks."""
        return PhaseHooks(
            self.cfg, self.config, self.data.val, Path(), self.device
        )

    @property
    def selectors(self) -> Mapping[str, SelectorFactory]:
        """Map the key of each budget to the builder of its selector."""
        initial, later = selectors_of(self.config, self.unit, None)
        found = {
            'active_learning.selector': later,
            'active_learning.selector (at first)': initial,
        }
        _, opening = openings_of(self.config)
        if opening is not None:
            where = 'active_learning.settings.mixed.selector'
            found[where] = opening.make_selector
        return found


@contextmanager
def unchanged_state(device: torch.device) -> Iterator[None]:
    """Restore generators, gradient mode and warnings at the end."""
    devices = [device] if device.type == 'cuda' else []
    with (
        seeded('preflight'),
        torch.random.fork_rng(devices),
        torch.enable_grad(),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter('ignore')
        yield


@contextmanager
def build_problems(
    where: str, section: Any, problems: list[str]
) -> Iterator[None]:
    """Turn what is raised in here into a problem of a section."""
    try:
        with building(where, section):
            yield
    except ConfigError as error:
        problems += error.problems


def in_words(error: Exception) -> str:
    """Say what was raised and where, in one line.

    An assertion without words is given its own line of code.
    """
    frames = traceback.extract_tb(error.__traceback__)
    text = str(error).strip()
    if not text and frames:
        text = frames[-1].line or 'no further words'
    return f'{type(error).__name__}: {text[:300]} ({raised_at(error)})'


def views_of(
    sample: Mapping[str, Any],
) -> list[tuple[NDArray[Any], dict[str, Any]]]:
    """List what the network sees of a sample: images, and their metas.

    Returns:
        Each view, (C, h, w) without padding; a training sample has one.
    """
    images, metas = sample['img'], sample['img_metas']
    if not isinstance(images, list):
        images, metas = [images], [metas]
    found = []
    for image, meta in zip(images, map(content, metas), strict=True):
        height, width = meta['img_shape'][:2]
        whole = np.asarray(content(image))
        found.append((whole[:, :height, :width], meta))
    return found


def content(value: Any) -> Any:
    """Unwrap the value in a pipeline's ``DataContainer``."""
    return value.data if isinstance(value, DataContainer) else value
