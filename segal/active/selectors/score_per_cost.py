from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from segal.errors import ConfigError
from segal.registry import SELECTORS
from segal.structures import (
    WHOLE_IMAGE,
    Candidates,
    PoolImage,
    Prediction,
    Selection,
    Unit,
)

from .base import BaseSelector
from .context import Bools, Floats, QueryContext
from .top import Picks


@dataclass
class WorthCandidates(Candidates):
    """Images worth opening, by the sum of their best scores.

    Attributes:
        others: float32 (M,), the best scores in images that are open.
    """

    others: Floats = field(default_factory=lambda: np.empty(0, np.float32))


@SELECTORS.register_module()
class ScorePerCost(BaseSelector):
    """Opens images while their scores promise more than open images do.

    Opening an image buys its ``first_pixels`` best pixels, for their price
    and that of opening it. As many images are opened, best first, as make the
    sum of the scores bought highest, theirs and those that the rest of the
    budget buys in open images. Scores below 0 count as 0.

    Source: score per cost, as Mackowiak et al., CEREALS, BMVC 2018, have it
    for regions, here for the choice between old images and new ones.

    Args:
        context: See :class:`~segal.active.selectors.base.BaseSelector`; the
            budget is the most images to open.
        pixels: Budget of the round, counted in pixels.
        first_pixels: Bought in an image when it is opened.
        opening_pixels: Price of opening one, in pixels.

    Raises:
        ConfigError: ``first_pixels`` is below 1.
    """

    unit: ClassVar[Unit] = 'image'
    reads_all: ClassVar[bool] = True

    def __init__(
        self,
        context: QueryContext,
        pixels: int,
        first_pixels: int,
        opening_pixels: float = 0.0,
    ) -> None:
        super().__init__(context)
        if pixels != int(pixels) or pixels < 0:
            raise ConfigError(f'pixels: wanted 0 or more, got {pixels}')
        if first_pixels != int(first_pixels) or first_pixels < 1:
            raise ConfigError(
                f'first_pixels: wanted 1 or more, got {first_pixels}'
            )
        self.pixels = pixels
        self.first_pixels = first_pixels
        self.price = first_pixels + opening_pixels
        self._rows: list[tuple[float, int, int]] = []  # -worth, tie, position
        self._others = np.empty(0, np.float32)

    def shortlist(
        self,
        image: PoolImage,
        score: Floats,
        available: Bools,
        prediction: Prediction | None = None,
    ) -> None:
        """Sum the best of the image; see the base."""
        position, _, scores = self.enter(image, score, available)
        if self.opened[position]:
            scores = score[self.available(image)]
        if not len(scores):
            return
        count = self.pixels if self.opened[position] else self.first_pixels
        first = max(0, len(scores) - count)
        best = np.maximum(np.partition(scores, first)[first:], 0)
        if self.opened[position]:
            others = np.sort(np.concatenate([self._others, best]))[::-1]
            self._others = others[: self.pixels]
            return
        tie = int(self.ties(image.name, np.array([WHOLE_IMAGE]))[0])
        worth = float(np.float32(best.sum(dtype=np.float64)))
        self._rows.append((-worth, tie, position))
        self._rows = sorted(self._rows)[: self.budget.amount]

    def candidates(self) -> Candidates:
        """Return this rank's best images, and the best scores in open ones."""
        picks = Picks(
            np.array([row[2] for row in self._rows], np.int32),
            np.full(len(self._rows), WHOLE_IMAGE),
            np.array([-row[0] for row in self._rows], np.float32),
            np.array([row[1] for row in self._rows], np.uint64),
        )
        packed = self.pack(picks.sort())
        return WorthCandidates(**vars(packed), others=self._others)

    def choose(self, shards: Sequence[Candidates]) -> Selection:
        """Open as many as pay; see the class."""
        picks = self.unpack(shards)
        order = np.lexsort((picks.ties, -picks.scores))
        order = order[: self.budget.amount]
        others = np.concatenate(
            [s.others for s in shards if isinstance(s, WorthCandidates)]
        )
        others = np.sort(others)[::-1].astype(np.float64)
        sums = np.concatenate([[0], np.cumsum(others)])  # of the best n
        best, opened = -np.inf, 0
        worth = np.concatenate(
            [[0], np.cumsum(picks.scores[order], dtype=np.float64)]
        )
        for count in range(len(order) + 1):
            left = int(self.pixels - count * self.price)
            if left < 0:
                break
            total = worth[count] + sums[min(left, len(others))]
            if total > best:
                best, opened = total, count
        return self.selection(picks.take(order[:opened]), opened)
