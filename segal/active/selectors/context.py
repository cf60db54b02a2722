"""Hold what is known of a round, in the types that selectors pass around."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segal.active.units import QueryUnit
from segal.structures import Budget, PoolImage

Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Keys = NDArray[np.uint64]
"""Draws of :mod:`segal.seeding`, which decide between equals."""

Mask = Callable[[PoolImage], Bools]
"""An image of the pool -> bool (H, W), a new array."""


def nowhere(image: PoolImage) -> Bools:
    """Mark no place of an image: bool (H, W)."""
    return np.zeros(image.size, bool)


def everywhere(image: PoolImage) -> Bools:
    """Mark every place of an image: bool (H, W)."""
    return np.ones(image.size, bool)


@dataclass(frozen=True)
class QueryContext:
    """Everything that a selector may know of its round.

    Attributes:
        images: The P images that the budget is for, the same on every rank.
        free: int64 (P,), how many places of each image may be asked.
        round: Number of the label file that the answers go to.
        seed: The experiment's seed.
        budget: What may be asked; where less is free, all of it. None until
            a :class:`SelectorFactory` fills it in.
        shuffle_prop: Share of the selection that is replaced by random picks,
            in [0, 1].
        opened: bool (P,), images of which something was asked before; None
            where nothing was.
        asked: Where something was asked before.
        available: What may be asked now.
        unit: What is asked. Selectors of regions read it; None for others.
        draws: Whether the scores are draws; see ``BaseHeuristic.is_draw``.
    """

    images: Sequence[PoolImage]
    free: Ints
    round: int
    seed: int
    budget: Budget | None = None
    shuffle_prop: float = 0.0
    opened: Bools | None = None
    asked: Mask = nowhere
    available: Mask = everywhere
    unit: QueryUnit | None = None
    draws: bool = False
