"""Hold the active learning of a config, read once and never changed.

Below this object parts get values, not configs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segal.active.units import QueryUnit, unit_named
from segal.active.units.costs import Costs
from segal.active.units.spending import Spending
from segal.config.keys import ActiveLearning, Runner, Speed
from segal.structures import Budget, Split, Unit


@dataclass(frozen=True)
class Phase:
    """Describe one training phase.

    Attributes:
        train: How long, in epochs or iterations (``by_epoch``), from 1.
        query: Whether a query follows; False for the last phase alone.
    """

    train: int
    query: bool


@dataclass(frozen=True)
class Reset:
    """Name the parts that start anew with each round."""

    weights: bool = True
    optimizer: bool = True
    schedule: bool = True


@dataclass(frozen=True)
class Member:
    """Name one network, or several rounds' networks, of a committee.

    Attributes:
        where: Key of the entry, for errors.
        checkpoint: Path of a network's checkpoint, in which ``{round}``
            stands for the round; empty where the networks are this run's.
        config: Path of that network's config; None: it is this config's.
        rounds: The networks of so many rounds before; 0 for a checkpoint.
    """

    where: str
    checkpoint: str = ''
    config: str | None = None
    rounds: int = 0

    @property
    def each_round(self) -> bool:
        """Tell whether every round has a file of its own."""
        return self.path(0) != self.path(1)

    def path(self, round: int) -> Path:
        """Return the path of a round's checkpoint."""
        return Path(self.checkpoint.format(round=round)).expanduser()


@dataclass(frozen=True)
class Mixed:
    """Describe queries that open images and ask places in them.

    Attributes:
        initial: Images opened before the first phase.
        images: Images that each query opens.
        split: How the budget inside is split; see ``Opening``.
        first_pixels: Pixels bought in an image when it is opened.
        opening_pixels: Price of opening an image, in pixels.
        selector: Chooses the images to open, for SELECTORS.
        initial_selector: The same before the first phase.
    """

    initial: int
    images: int
    split: Split
    first_pixels: int
    opening_pixels: float
    selector: dict[str, Any]
    initial_selector: dict[str, Any]


@dataclass(frozen=True)
class ActiveLearningConfig:
    """Describe the active learning of one experiment.

    A key that needs no reading is looked up where it is written: in ``keys``,
    ``runner`` or ``speed``. The others are what several keys say together.

    Attributes:
        keys: All keys of ``active_learning``, with their defaults.
        runner: All keys of ``runner``.
        speed: All keys of ``speed``.
        unit: What a budget counts.
        seed: The experiment's seed, from 0.
        initial: The labels of file 0, drawn before the first phase.
        budget: Labels of each query; with ``spending``, those that its
            amount pays for where no image has to be opened.
        spending: The budget in cost; None where it is a count.
        costs: What labels cost.
        shape: Of regions, for UNITS; None for other units.
        mixed: How images are opened; None: all are open.
        ignore_index: Class id of what has no label, 0 to 255.
        heuristic: Ready for HEURISTICS.
        committee: Networks beside the round's own.
        selector: Ready for SELECTORS: type and the selector's own options.
        features: Ready for FEATURES; None: no features.
        initial_heuristic: Ready for HEURISTICS: scores the first draw.
        initial_selector: Ready for SELECTORS: spends the first budget.
        oracle: For ORACLES: type, void and the oracle's own options.
        reset: What starts anew with each round.
        phases: All training phases, in order.
        inherited: Dotted keys of the schedule that came from a base.
    """

    keys: ActiveLearning
    runner: Runner
    speed: Speed
    unit: Unit
    seed: int
    initial: Budget
    budget: Budget
    spending: Spending | None
    costs: Costs
    shape: dict[str, Any] | None
    mixed: Mixed | None
    ignore_index: int
    heuristic: dict[str, Any]
    selector: dict[str, Any]
    features: dict[str, Any] | None
    initial_heuristic: dict[str, Any]
    initial_selector: dict[str, Any]
    oracle: dict[str, Any]
    reset: Reset
    phases: tuple[Phase, ...]
    committee: tuple[Member, ...] = ()
    inherited: frozenset[str] = frozenset()

    @property
    def keeps_optimizer(self) -> bool:
        """Whether ``final.pth`` has the optimizer's state."""
        return self.keys.keep_checkpoints or not self.reset.optimizer

    @property
    def asks(self) -> QueryUnit:
        """Return the query unit, without the places of its regions."""
        return unit_named(self.unit, self.selector.get('answer', 'all'))

    @property
    def queries(self) -> int:
        """Count the queries."""
        return sum(phase.query for phase in self.phases)
