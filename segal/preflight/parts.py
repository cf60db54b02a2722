"""What is rehearsed, and how its faults are gathered."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmcv import Config
from mmcv.parallel import DataContainer

from segal.active.selectors import SelectorFactory
from segal.config.schema import ActiveLearningConfig
from segal.errors import ConfigError, SegALError, raised_at
from segal.experiment.data import Data
from segal.experiment.network import Networks
from segal.experiment.phase_hooks import PhaseHooks
from segal.features import BaseExtractor
from segal.openmmlab.built import not_built

QUIET = logging.getLogger('segal.preflight')
QUIET.propagate = False
QUIET.addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Rehearsal:
    """What is rehearsed.

    Attributes:
        cfg: Translated config.
        config: Its active learning, read.
        data: The data sets.
        selectors: Key of its budget -> what builds a selector, as the runner
            takes it.
        device: Where to train.
        extractor: Describes images; None where nothing does.
        problems: Found before, to be told along with the rest.
    """

    cfg: Config
    config: ActiveLearningConfig
    data: Data
    selectors: Mapping[str, SelectorFactory]
    device: torch.device
    extractor: BaseExtractor | None = None
    problems: tuple[str, ...] = ()

    @property
    def networks(self) -> Networks:
        """What builds the network, and says nothing."""
        return Networks(
            self.cfg, self.config, self.data.classes, self.device, QUIET
        )

    @property
    def hooks(self) -> PhaseHooks:
        """What builds the hooks."""
        return PhaseHooks(
            self.cfg, self.config, self.data.val, Path(), self.device
        )


@contextmanager
def said(where: str, section: Any, problems: list[str]) -> Iterator[None]:
    """Turn what is raised in here into a problem of a section."""
    try:
        yield
    except ConfigError as error:
        problems += [f'{where}: {one}' for one in error.problems]
    except SegALError:
        raise
    except Exception as error:
        problems.append(not_built(where, section, error))


def words(error: Exception) -> str:
    """Say what was raised and where, in one line.

    An assertion without words is given its own line of code.
    """
    frames = traceback.extract_tb(error.__traceback__)
    said = str(error).strip()
    if not said and frames:
        said = frames[-1].line or 'no further words'
    return f'{type(error).__name__}: {said[:300]} ({raised_at(error)})'


def content(value: Any) -> Any:
    """What a pipeline's container holds."""
    return value.data if isinstance(value, DataContainer) else value
