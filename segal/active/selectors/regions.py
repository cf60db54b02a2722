"""Share the code of selectors of regions."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

import numpy as np

from segal.active.units.region import AGGREGATES, Region, Wanted
from segal.errors import ConfigError, nearest
from segal.structures import Answer, PoolImage, Selection, Unit

from .base import BaseSelector
from .context import Bools, Floats, Ints, QueryContext
from .quotas import top_count
from .top import Picks


class BaseRegions(BaseSelector):
    """Asks for regions; the unit of the context says where they lie.

    A budget counts regions, or their pixels. With pixels it is spent exactly:
    regions are taken best first, and the last one is cut to the pixels that
    are left, in reading order; so pixels go together with the answer
    ``'all'`` alone. An image where no free region is left gives less.

    The ``places`` of its picks are numbers of regions.

    Args:
        context: See :class:`~segal.active.selectors.base.BaseSelector`.
        aggregate: How the scores of a region's pixels become its score:
            ``'mean'``, ``'max'``, ``'sum'`` (which prefers large regions), or
            ``'one'``, that of one pixel.
        answer: ``'all'``: the class of each pixel is asked; ``'dominant'``:
            the one class that most pixels of a region have, for all of it.

    Raises:
        ConfigError: An option has no meaning.

    Attributes:
        shape: Finds regions.
        numbers: name -> int64 (R,), the regions that were chosen.
    """

    unit: ClassVar[Unit] = 'region'

    def __init__(
        self,
        context: QueryContext,
        aggregate: str = 'mean',
        answer: Answer = 'all',
    ) -> None:
        super().__init__(context)
        if not isinstance(context.unit, Region):
            raise RuntimeError(f'wanted a region, got {context.unit!r}')
        if aggregate not in AGGREGATES:
            raise ConfigError(
                f'aggregate: {aggregate!r} is not known'
                f'{nearest(aggregate, AGGREGATES)}'
            )
        if answer not in ('all', 'dominant'):
            raise ConfigError(
                f"answer: wanted 'all' or 'dominant', got {answer!r}"
            )
        self.in_pixels = self.budget.counts_pixels
        if answer == 'dominant' and self.in_pixels:
            raise ConfigError(
                "answer: 'dominant' is one answer a region, got a budget in "
                'pixels; count it in regions'
            )
        self.shape = context.unit
        self.numbers: dict[str, Ints] = {}
        self.aggregate = aggregate
        self.answer = answer

    def total(self) -> int:
        """Count the regions or pixels that the budget allows."""
        budget, pool = self.budget, self.images
        if budget.percent is not None:
            if budget.per_image:
                return sum(top_count(x.pixels, budget.percent) for x in pool)
            return top_count(sum(x.pixels for x in pool), budget.percent)
        return super().total()

    def spent(self, selection: Selection) -> int:
        """Count the regions or pixels that a selection asks."""
        return len(selection) if self.in_pixels else selection.region_count

    def prices(self, picks: Picks) -> Ints:
        """Count what each pick takes of the budget: int64 (N,)."""
        if self.in_pixels and picks.sizes is not None:
            return picks.sizes
        return np.ones(len(picks.places), np.int64)

    def enough(self, amount: int, least: float = -np.inf) -> Wanted:
        """Say how much of an image to find, with scores from ``least`` on."""
        if self.in_pixels:
            return Wanted(pixels=amount, least=least)
        return Wanted(regions=amount, least=least)

    def find(
        self,
        image: PoolImage,
        score: Floats,
        asked: Bools,
        available: Bools,
        wanted: Wanted,
        aggregate: str,
    ) -> Picks:
        """Find the best regions of one image, best first.

        Where something was asked before is ``asked``, what may be asked
        ``available``, both bool (H, W). Returns picks with ``sizes`` and
        ``orders``.
        """
        found = self.shape.best(
            image,
            score,
            asked,
            available,
            aggregate,
            partial(self.ties, image.name),
            wanted,
        )
        return self.picks_of(
            self._position[image.name],
            found.numbers,
            found.scores,
            sizes=found.sizes,
            orders=np.arange(len(found.numbers)),
        )

    def scored(
        self, picks: Picks, image: PoolImage, score: Floats, available: Bools
    ) -> Picks:
        """Give regions of one image, found by draws, their own scores.

        As in :meth:`find`; ``'one'`` is the first of a region's pixels.
        """
        places, region = self.shape.pixels(image, picks.places)
        free = available.reshape(-1)[places]
        places, region = places[free], region[free]
        places = places[np.argsort(region, kind='stable')]  # by region
        sizes = np.bincount(region)
        starts = np.cumsum(sizes) - sizes
        if self.aggregate == 'one':
            values = score.reshape(-1)[places[starts]]
        else:
            own = score.reshape(-1)[places].astype(np.float64)
            add = np.maximum if self.aggregate == 'max' else np.add
            values = add.reduceat(own, starts)
            if self.aggregate == 'mean':
                values = values / sizes
        return picks._replace(scores=values.astype(np.float32))

    def ask(self, picks: Picks, limits: dict[int, int]) -> Selection:
        """Turn regions, best first, into a selection of their pixels.

        The ``limits`` say how many pixels of an image (by position) may be
        asked at most; its last region is cut to that.
        """
        selection = Selection(self.round, 'pixel', {}, answer=self.answer)
        for position in np.unique(picks.image).tolist():
            image = self.images[position]
            mine = picks.take(picks.image == position)
            places, region = self.shape.pixels(image, mine.places)
            free = self.available(image).reshape(-1)[places]
            places, region = places[free], region[free]
            if position in limits:
                by_rank = np.argsort(region, kind='stable')
                kept = np.sort(by_rank[: limits[position]])
                places, region = places[kept], region[kept]
            self.numbers[image.name] = mine.places
            selection.places[image.name] = places
            selection.scores[image.name] = mine.scores[region]
            selection.regions[image.name] = region
        return selection
