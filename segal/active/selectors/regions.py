"""How a budget is spent on regions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from segal.active.units.regions import AGGREGATES, RegionShape, Wanted
from segal.errors import ConfigError, nearest
from segal.seeding import place_keys
from segal.structures import (
    Answer,
    Candidates,
    PoolImage,
    Selection,
    Unit,
)

from .base import BaseSelector
from .quotas import top_count

ROW = np.dtype(
    [
        ('image', np.int32),  # position in the pool
        ('number', np.int64),  # of the region, in its image
        ('score', np.float32),
        ('tie', np.uint64),
        ('size', np.int64),  # askable pixels
        ('order', np.int64),  # in which it was taken in its image, from 0
    ]
)
"""A region of the pool."""


@dataclass
class RegionCandidates(Candidates):
    """Regions worth asking about.

    Attributes:
        sizes: int64 (N,), askable pixels of each; ``places`` are the numbers
            of the regions.
        orders: int64 (N,), in which each was taken in its image, from 0.
    """

    sizes: NDArray[np.int64] = field(
        default_factory=lambda: np.empty(0, np.int64)
    )
    orders: NDArray[np.int64] = field(
        default_factory=lambda: np.empty(0, np.int64)
    )


class BaseRegions(BaseSelector):
    """Asks for regions; where they lie is the shape's to say.

    A budget counts regions, or their pixels. With pixels it is spent exactly:
    regions are taken best first, and the last one is cut to the pixels that
    are left, in reading order; so pixels go together with the answer
    ``'all'`` alone. An image where no free region is left gives less.

    Args:
        args: See :class:`~segal.active.selectors.base.BaseSelector`.
        shape: Finds regions.
        aggregate: How the scores of a region's pixels become its score:
            ``'mean'``, ``'max'``, ``'sum'`` (which prefers large regions), or
            ``'one'``, that of one pixel.
        answer: ``'all'``: the class of each pixel is asked; ``'dominant'``:
            the one class that most pixels of a region have, for all of it.
        kwargs: See the base.

    Raises:
        ConfigError: An option has no meaning.

    Attributes:
        numbers: name -> int64 (R,), the regions that were chosen.
    """

    unit: ClassVar[Unit] = 'region'

    def __init__(
        self,
        *args: Any,
        shape: RegionShape,
        aggregate: str = 'mean',
        answer: Answer = 'all',
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
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
        self.shape = shape
        self.numbers: dict[str, NDArray[np.int64]] = {}
        self.aggregate = aggregate
        self.answer = answer

    def total(self) -> int:
        """Regions or pixels that the whole pool may cost."""
        budget, pool = self.budget, self.images
        if budget.percent is not None:
            if budget.per_image:
                return sum(top_count(x.pixels, budget.percent) for x in pool)
            return top_count(sum(x.pixels for x in pool), budget.percent)
        return super().total()

    def spent(self, selection: Selection) -> int:
        """Regions or pixels that a selection asks."""
        return len(selection) if self.in_pixels else selection.region_count

    def _find(
        self,
        image: PoolImage,
        score: NDArray[np.float32],
        asked: NDArray[np.bool_],
        available: NDArray[np.bool_],
        wanted: Wanted,
        aggregate: str,
    ) -> NDArray:
        """The best regions of one image as rows, best first."""
        tie = self._stream('tie', image.name)
        found = self.shape.best(
            image,
            score,
            asked,
            available,
            aggregate,
            lambda at: place_keys(tie, at),
            wanted,
        )
        rows = np.empty(len(found.numbers), ROW)
        rows['image'] = self._position[image.name]
        rows['number'] = found.numbers
        rows['score'] = found.scores
        rows['tie'] = place_keys(tie, found.numbers)
        rows['size'] = found.sizes
        rows['order'] = np.arange(len(rows))
        return rows

    def _packed(self, rows: NDArray) -> RegionCandidates:
        """Rows with names in place of positions in the pool."""
        positions, image = np.unique(rows['image'], return_inverse=True)
        return RegionCandidates(
            [self.images[i].name for i in positions],
            image.astype(np.int32),
            rows['number'],
            rows['score'],
            rows['tie'],
            sizes=rows['size'],
            orders=rows['order'],
        )

    def _joined(self, shards: Sequence[Candidates]) -> NDArray:
        """The rows of all shards, best first over the pool.

        Raises:
            RuntimeError: A region occurs twice, or an image is not of the
                pool.
        """
        parts = [np.empty(0, ROW)]
        for shard in shards:
            assert isinstance(shard, RegionCandidates)
            part = np.empty(len(shard), ROW)
            part['image'] = self._positions(shard)
            part['number'], part['score'] = shard.places, shard.scores
            part['tie'], part['size'] = shard.ties, shard.sizes
            part['order'] = shard.orders
            parts.append(part)
        rows = np.concatenate(parts)
        rows = rows[np.lexsort((rows['number'], rows['image']))]
        twice = np.flatnonzero(
            (np.diff(rows['image']) == 0) & (np.diff(rows['number']) == 0)
        )
        if len(twice):
            row = rows[twice[0]]
            raise RuntimeError(
                f'{self.images[row["image"]].name!r}: region {row["number"]} '
                'would be selected twice'
            )
        return by_score(rows)

    def _asked(self, rows: NDArray, limits: dict[int, int]) -> Selection:
        """Regions as a selection.

        Args:
            rows: Best first within each image.
            limits: Position of an image -> how many pixels of it may be
                asked; the last region is cut to that.
        """
        selection = Selection(self.round, 'pixel', {}, answer=self.answer)
        for position in np.unique(rows['image']).tolist():
            image = self.images[position]
            mine = rows[rows['image'] == position]
            places, region = self.shape.pixels(image, mine['number'])
            free = self.available(image).reshape(-1)[places]
            places, region = places[free], region[free]
            if position in limits:
                by_rank = np.argsort(region, kind='stable')
                kept = np.sort(by_rank[: limits[position]])
                places, region = places[kept], region[kept]
            self.numbers[image.name] = mine['number']
            selection.places[image.name] = places
            selection.scores[image.name] = mine['score'][region]
            selection.regions[image.name] = region
        return selection


def by_score(rows: NDArray) -> NDArray:
    """Score descending, then tie key ascending; then by image and number."""
    return rows[
        np.lexsort(
            (rows['number'], rows['image'], rows['tie'], -rows['score'])
        )
    ]
