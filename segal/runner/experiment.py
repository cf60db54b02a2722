"""Hold the parts of an experiment for the runner."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from mmcv.runner import Hook
from numpy.typing import NDArray

from segal.active.active_loop import ActiveLearningLoop
from segal.active.heuristics import BaseHeuristic
from segal.active.opening import Opening
from segal.active.selectors import SelectorFactory
from segal.config.schema import ActiveLearningConfig
from segal.model_wrapper import ModelWrapper


class Training(Protocol):
    """One training phase, ready to run."""

    runner: Any
    wrapper: ModelWrapper

    @property
    def source_images(self) -> int:
        """Count the images of labelled sources in the training set."""

    def run(self) -> dict[str, Any]:
        """Train, evaluate and save.

        Returns:
            ``iterations``, ``metrics``, ``seconds`` (of train and
            evaluation), and ``best`` where it was asked for.
        """


class RoundFactory(Protocol):
    """Build, for each round, what a config describes."""

    def training(self, round: int, before: Sequence[int]) -> Training:
        """Build model, optimizer, loader, hooks and runner of a phase.

        Args:
            round: From 0.
            before: Iterations of each round before.
        """

    def wrapper(self, round: int) -> ModelWrapper:
        """Load the model that a finished phase left.

        Raises:
            StateError: Its checkpoint is missing or damaged.
        """

    def committee(self, round: int, asked: bool) -> list[ModelWrapper]:
        """Load the further networks that predict beside a round's network.

        Raises:
            StateError: ``asked``, and one of them is missing or damaged.
        """

    def tidy(self, round: int) -> None:
        """Remove the checkpoints of a round that is done and reported."""

    def reporters(self) -> list[Hook]:
        """Build the hooks that report a finished round."""


@dataclass(frozen=True)
class QueryStrategy:
    """The parts that choose labels.

    Attributes:
        heuristic: Scores.
        make_selector: Builds the selector of a round.
        opening: Which images to open first; None: all images are open.
    """

    heuristic: BaseHeuristic
    make_selector: SelectorFactory
    opening: Opening | None = None


@dataclass(frozen=True)
class Experiment:
    """The parts of an experiment.

    Attributes:
        config: The ``active_learning`` of the config, read and checked.
        factory: Builds the phases.
        loop: The query step.
        initial: Chooses the initial labels.
        query: Chooses the labels of each query.
        work_dir: The experiment's folder.
        logger: For all messages.
        classes: Names of the C classes.
        palette: uint8 (C, 3), RGB.
    """

    config: ActiveLearningConfig
    factory: RoundFactory
    loop: ActiveLearningLoop
    initial: QueryStrategy
    query: QueryStrategy
    work_dir: Path
    logger: logging.Logger
    classes: Sequence[str]
    palette: NDArray[np.uint8]
