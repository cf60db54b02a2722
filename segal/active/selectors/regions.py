"""How a budget is spent on regions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from segal.active.regions import AGGREGATES, RegionShape, Wanted
from segal.errors import ConfigError, nearest
from segal.registry import SELECTORS
from segal.seeding import place_keys, uniform
from segal.structures import (
    Answer,
    Candidates,
    PoolImage,
    Prediction,
    Selection,
    Unit,
)

from .base import BaseSelector
from .quotas import quotas, rounded_share, top_count

_ROW = np.dtype(
    [
        ('image', np.int32),  # position in the pool
        ('number', np.int64),  # of the region, in its image
        ('score', np.float32),
        ('tie', np.uint64),
        ('size', np.int64),  # askable pixels
    ]
)


@dataclass
class RegionCandidates(Candidates):
    """Regions worth asking about.

    Attributes:
        sizes: int64 (N,), askable pixels of each; ``places`` are the numbers
            of the regions.
    """

    sizes: NDArray[np.int64] = field(
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
        self.in_pixels = (
            self.budget.in_pixels or self.budget.percent is not None
        )
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
        return budget.amount * (len(pool) if budget.per_image else 1)

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
        rows = np.empty(len(found.numbers), _ROW)
        rows['image'] = self._position[image.name]
        rows['number'] = found.numbers
        rows['score'] = found.scores
        rows['tie'] = place_keys(tie, found.numbers)
        rows['size'] = found.sizes
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
        )

    def _joined(self, shards: Sequence[Candidates]) -> NDArray:
        """The rows of all shards, best first over the pool.

        Raises:
            RuntimeError: A region occurs twice, or an image is not of the
                pool.
        """
        parts = [np.empty(0, _ROW)]
        for shard in shards:
            assert isinstance(shard, RegionCandidates)
            part = np.empty(len(shard), _ROW)
            part['image'] = self._positions(shard)
            part['number'], part['score'] = shard.places, shard.scores
            part['tie'], part['size'] = shard.ties, shard.sizes
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
        return _by_score(rows)

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


@SELECTORS.register_module()
class RegionsPerImage(BaseRegions):
    """Gives every image the same share of the budget, in regions.

    ``Budget(q, per_image=True)`` is q regions of each image, or of their
    pixels where it counts those; ``Budget(B, per_image=False)`` is spread as
    evenly as the images' free pixels allow. Within an image: first the random
    regions of ``shuffle_prop``, then the best of those that do not overlap
    them.

    Its arguments are those of :class:`BaseRegions`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        budget, free = self.budget, self.free
        if budget.per_image and budget.percent is not None:
            shares = [top_count(x.pixels, budget.percent) for x in self.images]
            self.quotas = np.minimum(np.array(shares, np.int64), free)
        elif budget.per_image:
            self.quotas = np.minimum(free, budget.amount)
        else:
            draws = [self._stream('quota', x.name) for x in self.images]
            self.quotas = quotas(
                self.total(), free, np.array(draws, np.uint64)
            )
        self._rows: list[NDArray] = []

    def shortlist(
        self,
        image: PoolImage,
        score: NDArray[np.float32],
        available: NDArray[np.bool_],
        prediction: Prediction | None = None,
    ) -> None:
        """Pick this image's share; see the base."""
        position, _, _ = self._enter(image, score, available)
        quota = int(self.quotas[position])
        if not quota:
            return
        asked = self.asked(image)
        rows = np.empty(0, _ROW)
        randoms = rounded_share(quota, self.shuffle_prop)
        if randoms:
            draws = place_keys(
                self._stream('shuffle', image.name),
                np.arange(image.pixels),
            )
            chance = uniform(draws).reshape(image.size)
            rows = self._find(
                image, chance, asked, available, self._enough(randoms), 'one'
            )
            places, _ = self.shape.pixels(image, rows['number'])
            asked, available = asked.copy(), available.copy()
            asked.reshape(-1)[places] = True
            available.reshape(-1)[places] = False
        rest = quota - self._spent(rows)
        if rest > 0:
            best = self._find(
                image,
                score,
                asked,
                available,
                self._enough(rest),
                self.aggregate,
            )
            rows = np.concatenate([rows, best])
        self._rows.append(rows)

    def _enough(self, amount: int) -> Wanted:
        if self.in_pixels:
            return Wanted(pixels=amount)
        return Wanted(regions=amount)

    def _spent(self, rows: NDArray) -> int:
        return int(rows['size'].sum()) if self.in_pixels else len(rows)

    def candidates(self) -> Candidates:
        """Every image's final picks."""
        return self._packed(np.concatenate([np.empty(0, _ROW), *self._rows]))

    def choose(self, shards: Sequence[Candidates]) -> Selection:
        """Join the ranks' picks; see the base."""
        rows = self._joined(shards)
        limits = {}
        if self.in_pixels:
            limits = {
                position: int(self.quotas[position])
                for position in np.unique(rows['image']).tolist()
            }
        return self._asked(rows, limits)


@SELECTORS.register_module()
class RegionsGlobal(BaseRegions):
    """Spends one budget on the best regions of the whole pool.

    Exact: regions of different images do not overlap, so the best of the pool
    are the best of each image's own, merged. Memory is bounded by the budget.
    ``Budget(q, per_image=True)`` is q times the number of images, spent
    anywhere.

    Args:
        args: See :class:`BaseRegions`.
        kwargs: See :class:`BaseRegions`.

    Raises:
        ConfigError: ``shuffle_prop`` is set.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.shuffle_prop:
            raise ConfigError(
                'shuffle_prop: regions are mixed with random ones image by '
                f'image, got {self.shuffle_prop} with a budget over the '
                'whole pool; set sample_evenly=True, or leave it out'
            )
        self.amount = min(self.total(), int(self.free.sum()))
        self._least = np.float32(-np.inf)
        self._rows: list[NDArray] = []
        self._held = 0

    def shortlist(
        self,
        image: PoolImage,
        score: NDArray[np.float32],
        available: NDArray[np.bool_],
        prediction: Prediction | None = None,
    ) -> None:
        """Keep what can be among the best; see the base."""
        self._enter(image, score, available)
        wanted = Wanted(
            regions=self.amount,
            pixels=self.amount if self.in_pixels else Wanted().pixels,
            least=float(self._least),
        )
        rows = self._find(
            image, score, self.asked(image), available, wanted, self.aggregate
        )
        self._rows.append(rows)
        self._held += len(rows)
        if self._held > 2 * self.amount:
            self._rows = [self._cut()]
            self._held = len(self._rows[0])

    def _cut(self) -> NDArray:
        """The best rows that pay for the budget; the last may be too much."""
        rows = _by_score(np.concatenate([np.empty(0, _ROW), *self._rows]))
        price = rows['size'] if self.in_pixels else np.ones(len(rows), int)
        before = np.cumsum(price) - price
        kept = rows[before < self.amount]
        if len(kept) < len(rows):
            self._least = kept['score'][-1] if len(kept) else np.float32(0)
        return kept

    def candidates(self) -> Candidates:
        """This rank's best."""
        return self._packed(self._cut())

    def choose(self, shards: Sequence[Candidates]) -> Selection:
        """The best of all; see the base."""
        self._rows = [self._joined(shards)]
        rows = self._cut()
        limits = {}
        if self.in_pixels and len(rows):
            over = int(rows['size'].sum()) - self.amount
            if over > 0:
                last = int(rows['image'][-1])
                mine = rows['size'][rows['image'] == last]
                limits[last] = int(mine.sum()) - over
        return self._asked(rows, limits)


def _by_score(rows: NDArray) -> NDArray:
    """Score descending, then tie key ascending; then by image and number."""
    return rows[
        np.lexsort(
            (rows['number'], rows['image'], rows['tie'], -rows['score'])
        )
    ]
