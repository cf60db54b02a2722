from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from segal.active.units.regions import Wanted
from segal.registry import SELECTORS
from segal.seeding import place_keys, uniform
from segal.structures import Candidates, PoolImage, Prediction, Selection

from .quotas import quotas, rounded_share, top_count
from .regions import ROW, BaseRegions, by_score

SPARE = 20_000
"""Regions of the whole pool that are looked at beyond the shares, at least."""


@SELECTORS.register_module()
class RegionsPerImage(BaseRegions):
    """Gives every image the same share of the budget, in regions.

    ``Budget(q, per_image=True)`` is q regions of each image, or of their
    pixels where it counts those; an image that has fewer gives all it has.
    ``Budget(B, per_image=False)`` is spread as evenly as the images' free
    regions allow: what one cannot give is passed on evenly to the others.
    How many are free is only known when an image is looked at, and four
    times its share are looked for in each, or more in a small pool (see
    ``SPARE``); an image is never asked for more than that. Within an image:
    first the random regions of ``shuffle_prop``, then the best of those that
    do not overlap them.

    Its arguments are those of :class:`BaseRegions`.

    Attributes:
        quotas: int64 (P,), regions or pixels that each image may be asked;
            over the whole pool as if every free pixel could be asked, and
            after :meth:`choose` by what was found.
        most: int64 (P,), how many are looked for in each image.
    """

    evenly: ClassVar[bool | None] = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        budget, free = self.budget, self.free
        if budget.per_image and budget.percent is not None:
            shares = [top_count(x.pixels, budget.percent) for x in self.images]
            self.quotas = np.minimum(np.array(shares, np.int64), free)
        elif budget.per_image:
            self.quotas = np.minimum(free, budget.amount)
        else:
            self.quotas = self._spread(free)
        self.most = self.quotas
        if not budget.per_image:
            spare = SPARE // max(1, len(self.images))
            most = np.maximum(4 * self.quotas, spare)
            self.most = np.minimum(most, np.minimum(free, self.total()))
        self._rows: list[NDArray] = []

    def _spread(self, able: NDArray[np.int64]) -> NDArray[np.int64]:
        """The budget of the pool, by what each image can give: int64 (P,)."""
        draws = [self._stream('quota', x.name) for x in self.images]
        return quotas(self.total(), able, np.array(draws, np.uint64))

    def shortlist(
        self,
        image: PoolImage,
        score: NDArray[np.float32],
        available: NDArray[np.bool_],
        prediction: Prediction | None = None,
    ) -> None:
        """Pick this image's share; see the base."""
        position, _, _ = self._enter(image, score, available)
        quota, most = int(self.quotas[position]), int(self.most[position])
        if not most:
            return
        asked = self.asked(image)
        rows = np.empty(0, ROW)
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
        rest = most - self._spent(rows)
        if rest > 0:
            best = self._find(
                image,
                score,
                asked,
                available,
                self._enough(rest),
                self.aggregate,
            )
            best['order'] += len(rows)
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
        return self._packed(np.concatenate([np.empty(0, ROW), *self._rows]))

    def choose(self, shards: Sequence[Candidates]) -> Selection:
        """Join the ranks' picks, and pass on what is missing; see the base."""
        rows = self._joined(shards)
        rows = rows[np.lexsort((rows['order'], rows['image']))]
        price = rows['size'] if self.in_pixels else np.ones(len(rows), int)
        if not self.budget.per_image:
            found = np.bincount(rows['image'], price, len(self.images))
            self.quotas = self._spread(
                np.minimum(found.astype(np.int64), self.most)
            )
        before = np.cumsum(price) - price  # (R,), of images before as well
        _, first, which = np.unique(
            rows['image'], return_index=True, return_inverse=True
        )
        taken = before - before[first][which] < self.quotas[rows['image']]
        rows = by_score(rows[taken])
        limits = {}
        if self.in_pixels:
            limits = {
                position: int(self.quotas[position])
                for position in np.unique(rows['image']).tolist()
            }
        return self._asked(rows, limits)
