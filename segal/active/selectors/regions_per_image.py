from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segal.active.regions import Wanted
from segal.registry import SELECTORS
from segal.seeding import place_keys, uniform
from segal.structures import Candidates, PoolImage, Prediction, Selection

from .quotas import quotas, rounded_share, top_count
from .regions import ROW, BaseRegions


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
        return self._packed(np.concatenate([np.empty(0, ROW), *self._rows]))

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
