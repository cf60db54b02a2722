from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segal.active.units.base import Fit
from segal.active.units.costs import Asked, Costs, exact
from segal.active.units.pixels import Pixels
from segal.structures import Budget, PixelAnswers, PoolImage, Unit

Ties = Callable[[NDArray[np.int64]], NDArray[np.uint64]]
"""Numbers of regions int64 (n,) -> their tie keys uint64 (n,)."""

AGGREGATES = ('mean', 'max', 'sum', 'one')
"""How the scores of a region's askable pixels become its score; ``'one'`` is
that of a single pixel of it, as scores that are draws want it."""


class Found(NamedTuple):
    """Regions of one image, best first; no two of them overlap.

    Attributes:
        numbers: int64 (R,), which ones.
        scores: float32 (R,).
        sizes: int64 (R,), their askable pixels, from 1.
    """

    numbers: NDArray[np.int64]
    scores: NDArray[np.float32]
    sizes: NDArray[np.int64]


class Wanted(NamedTuple):
    """Says when enough regions of an image are found; the first that is met.

    Attributes:
        regions: This many are found.
        pixels: They have this many pixels, or more.
        least: The next one has a lower score.
    """

    regions: int = np.iinfo(np.int64).max
    pixels: int = np.iinfo(np.int64).max
    least: float = -np.inf


class Region(Pixels):
    """Pixels that are asked together; a subclass says where they lie.

    A region may be asked while nothing of it was asked before and something
    of it is askable. Its askable pixels are asked. Each region has a number
    that is a function of the image alone, from 0 to H * W - 1.

    A subclass writes :meth:`typical_pixels`, :meth:`best` and :meth:`pixels`.
    Where the regions of an image never overlap, it derives from
    :class:`~segal.active.units.regions.partition.Partition` and writes
    ``labels`` alone.
    """

    name: ClassVar[Unit] = 'region'
    first_key: ClassVar[str] = 'initial_label_regions'
    selector_keys: ClassVar[dict[str, str]] = {'aggregate': 'aggregate'}
    grouped: ClassVar[bool] = True
    drawn: ClassVar[Literal['marks', 'areas', 'sheet']] = 'areas'

    def typical_pixels(self, image: PoolImage) -> int:
        """See the base."""
        raise NotImplementedError

    def fit(self, image: PoolImage, count: bool = True) -> Fit:
        """See the base; estimated, if a subclass does not know better."""
        about = max(1, image.pixels // self.typical_pixels(image))
        return Fit(about, about, False)

    def usual_selector(
        self, evenly: bool, top_percent: float | None, aggregate: str
    ) -> dict[str, Any]:
        """See the base."""
        name = 'RegionsPerImage' if evenly else 'RegionsGlobal'
        return {'type': name, 'aggregate': aggregate}

    def in_words(self, budget: Budget, where: str) -> str:
        """See the base; a budget may count the pixels of regions."""
        if budget.percent is not None:
            return f'{budget.percent:g} % of the pixels {where}, in regions'
        if budget.in_pixels:
            return f'{budget.amount:,} pixels {where}, in regions'
        return super().in_words(budget, where)

    def price(self, costs: Costs) -> Fraction:
        """Return the price of a region; 0 where its share is paid."""
        if self.answer == 'dominant':
            return exact(costs.click)
        return exact(costs.region or 0)

    def price_in_words(self, costs: Costs) -> str:
        """See the base."""
        if self.answer == 'all' and costs.region is None:
            return f'the share of {costs.image:g} {costs.unit} an image'
        return super().price_in_words(costs)

    def asked(self, count: int, opened: int, shares: float = 0.0) -> Asked:
        """See the base."""
        if self.answer == 'dominant':
            return Asked(superpixels=count, opened=opened)
        return Asked(regions=count, region_shares=shares, opened=opened)

    def told(self, asked: Asked) -> dict[str, Any]:
        """Say how many regions there are, and what is said of each."""
        if asked.pixels:
            return {}
        told: dict[str, Any] = dict(regions=asked.requests)
        if self.answer != 'all':
            told['answer'] = self.answer
        return told

    def answers(
        self,
        truth: NDArray[np.uint8],
        places: NDArray[np.int64],
        regions: NDArray[np.int32] | None,
    ) -> PixelAnswers:
        """Look up the class of each place, or of each region; see the base."""
        found = truth.reshape(-1)[places]  # (N,)
        if self.answer == 'dominant':
            assert regions is not None
            found = dominant(found, regions)
        return self._looked_up(places, found)

    def best(
        self,
        image: PoolImage,
        score: NDArray[np.float32],
        asked: NDArray[np.bool_],
        askable: NDArray[np.bool_],
        aggregate: str,
        ties: Ties,
        wanted: Wanted,
    ) -> Found:
        """Take the best region, drop all that overlap it, and so on.

        Equal scores go by the lower tie key.

        Args:
            image: Which one.
            score: float32 (H, W), finite, higher = label first.
            asked: bool (H, W), where something was asked before.
            askable: bool (H, W), what may be asked; False where ``asked``.
            aggregate: One of ``AGGREGATES``.
            ties: Gives tie keys.
            wanted: When to stop.
        """
        raise NotImplementedError

    def pixels(
        self, image: PoolImage, numbers: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Find the pixels of some regions.

        Args:
            image: Which one.
            numbers: int64 (R,), regions of it that do not overlap.

        Returns:
            Flat indices, int64 (n,), sorted; and which region each belongs
            to, as an index into ``numbers``, int32 (n,).
        """
        raise NotImplementedError

    def room(
        self,
        image: PoolImage,
        asked: NDArray[np.bool_],
        askable: NDArray[np.bool_],
    ) -> bool:
        """Say whether there is a region that may be asked.

        Args:
            image: Which one.
            asked: See :meth:`best`.
            askable: See :meth:`best`.
        """
        nothing = np.zeros(image.size, np.float32)
        found = self.best(
            image,
            nothing,
            asked,
            askable,
            'one',
            lambda at: at.astype(np.uint64),
            Wanted(regions=1),
        )
        return len(found.numbers) > 0


def dominant(
    classes: NDArray[np.uint8], regions: NDArray[np.int32]
) -> NDArray[np.uint8]:
    """Give all pixels of a region the class that most of them have.

    Of several that are as many the lowest id wins, and a class over void.

    Args:
        classes: uint8 (N,), 255 where void.
        regions: int32 (N,), from 0.

    Returns:
        uint8 (N,).
    """
    both = regions.astype(np.int64) << 8 | classes  # (N,)
    kinds, counts = np.unique(both, return_counts=True)  # by region, class
    order = np.lexsort((kinds, -counts, kinds >> 8))
    _, first = np.unique(kinds[order] >> 8, return_index=True)
    winners = kinds[order][first]  # one a region, by region
    at = np.searchsorted(winners >> 8, regions)
    return (winners[at] & 0xFF).astype(np.uint8)
