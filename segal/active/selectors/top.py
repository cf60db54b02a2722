"""Find the best few of many, exactly: by score, then by tie key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from .context import Floats, Ints, Keys

Ties = Callable[[Ints], Keys]
"""Indices int64 (n,) -> their tie keys uint64 (n,), made only when needed."""

More = Callable[[Ints], dict[str, NDArray[Any]]]
"""Indices int64 (n,) -> further columns of :class:`Picks`, n rows each."""


_T = TypeVar('_T')


def within(function: Callable[[Ints], _T], at: Ints) -> Callable[[Ints], _T]:
    """Restrict a function of indices to the part ``at``, int64 (n,)."""

    def of_part(index: Ints) -> _T:
        return function(at[index])

    return of_part


def lowest(draws: Keys, count: int) -> Ints:
    """Find the lowest ``count`` draws: indices, in no particular order."""
    if count <= 0:
        return np.empty(0, np.int64)
    if count >= len(draws):
        return np.arange(len(draws))
    return np.argpartition(draws, count - 1)[:count]


def best(scores: Floats, ties: Ties, count: int) -> Ints:
    """Find the best ``count`` scores: indices, in no particular order.

    Of equal scores those with the lowest tie keys are taken; ``ties`` is
    called with the indices that tie at the last score taken.
    """
    if count <= 0:
        return np.empty(0, np.int64)
    if count >= len(scores):
        return np.arange(len(scores))
    last = len(scores) - count
    threshold = np.partition(scores, last)[last]
    above = np.flatnonzero(scores > threshold)
    level = np.flatnonzero(scores == threshold)
    missing = count - len(above)
    if len(level) > missing:
        level = level[lowest(ties(level), missing)]
    return np.concatenate([above, level])


class Picks(NamedTuple):
    """A table of places in the pool, best first or not.

    Attributes:
        image: int32 (N,), position in the pool.
        places: int64 (N,), flat indices, or ``WHOLE_IMAGE``.
        scores: float32 (N,).
        ties: uint64 (N,).
        vectors: float32 (N, F), what the places look like; or None.
        classes: uint8 (N,), their predicted classes; or None.
        sizes: int64 (N,), askable pixels of each region; or None.
        orders: int64 (N,), when each region was taken in its image, from 0;
            or None.
    """

    image: NDArray[np.int32]
    places: Ints
    scores: Floats
    ties: Keys
    vectors: Floats | None = None
    classes: NDArray[np.uint8] | None = None
    sizes: Ints | None = None
    orders: Ints | None = None

    @property
    def coordinates(self) -> Floats:
        """Return ``vectors``, which must be there: float32 (N, F)."""
        assert self.vectors is not None
        return self.vectors

    @classmethod
    def join(cls, parts: list[Picks]) -> Picks:
        """Join parts, one after the other.

        Parts without a pick may lack the columns that others have.
        """
        nothing = cls(
            np.empty(0, np.int32),
            np.empty(0, np.int64),
            np.empty(0, np.float32),
            np.empty(0, np.uint64),
        )
        columns: list[Any] = []
        for several in zip(nothing, *parts, strict=True):
            there = [column for column in several if column is not None]
            columns.append(np.concatenate(there) if there else None)
        return cls(*columns)

    def take(self, index: NDArray) -> Picks:
        """Take the rows of an index or a mask."""
        columns: list[Any] = [
            None if column is None else column[index] for column in self
        ]
        return Picks(*columns)

    def best(self, count: int) -> Ints:
        """Find the best ``count``: indices, in no particular order."""
        return best(self.scores, self.ties.__getitem__, count)

    def sort(self) -> Picks:
        """Sort by image, best first within each."""
        order = np.lexsort((self.places, self.ties, -self.scores, self.image))
        return self.take(order)

    def best_first(self) -> Picks:
        """Sort by score over the whole pool, then by tie key."""
        order = np.lexsort((self.places, self.image, self.ties, -self.scores))
        return self.take(order)


class RunningTop:
    """Keeps the best ``capacity`` of a stream in bounded memory.

    What can no longer be among the best is dropped at once. The rest is kept
    until there are two capacities of it, and is then cut to one. So at most
    three capacities are held, for a moment.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.threshold = np.float32(-np.inf)
        self._held: list[tuple[Picks, Floats]] = []
        self._count = 0

    def add(
        self,
        image: int,
        places: Ints,
        values: Floats,
        ties: Ties,
        scores: Floats,
        more: More | None = None,
    ) -> None:
        """Offer the n places of one image, at its position in the pool.

        They are ranked by ``values``, higher first; ``scores`` are carried
        along, and ``more`` makes further columns of those that are kept.
        """
        near = np.flatnonzero(values >= self.threshold)
        near = near[best(values[near], within(ties, near), self.capacity)]
        if not len(near):
            return
        picks = Picks(
            np.full(len(near), image, np.int32),
            places[near],
            scores[near],
            ties(near),
            **(more(near) if more else {}),
        )
        self._held.append((picks, values[near]))
        self._count += len(near)
        if self._count > 2 * self.capacity:
            self._cut()

    def _cut(self) -> None:
        picks = Picks.join([picks for picks, _ in self._held])
        values = np.concatenate([values for _, values in self._held])
        kept = best(values, picks.ties.__getitem__, self.capacity)
        self._held = [(picks.take(kept), values[kept])]
        self._count = len(kept)
        self.threshold = values[kept].min()

    def picks(self) -> Picks:
        """Return the best, in no particular order."""
        if self._count > self.capacity:
            self._cut()
        return Picks.join([picks for picks, _ in self._held])
