from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from segal.registry import SELECTORS
from segal.seeding import uniform
from segal.structures import Candidates, PoolImage, Prediction, Selection

from .context import Bools, Floats, Ints, QueryContext
from .quotas import quotas, top_count
from .regions import BaseRegions
from .top import Picks

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

    def __init__(self, context: QueryContext, **options: Any) -> None:
        super().__init__(context, **options)
        budget, free = self.budget, self.free
        if budget.per_image and budget.percent is not None:
            shares = [top_count(x.pixels, budget.percent) for x in self.images]
            self.quotas = np.minimum(np.array(shares, np.int64), free)
        elif budget.per_image:
            self.quotas = np.minimum(free, budget.amount)
        else:
            self.quotas = self._shares(free)
        self.most = self.quotas
        if not budget.per_image:
            spare = SPARE // max(1, len(self.images))
            most = np.maximum(4 * self.quotas, spare)
            self.most = np.minimum(most, np.minimum(free, self.total()))
        self._picks: list[Picks] = []

    def _shares(self, able: Ints) -> Ints:
        """Split the budget of the pool over what images can give: (P,)."""
        draws = [self.stream('quota', x.name) for x in self.images]
        return quotas(self.total(), able, np.array(draws, np.uint64))

    def shortlist(
        self,
        image: PoolImage,
        score: Floats,
        available: Bools,
        prediction: Prediction | None = None,
    ) -> None:
        """Pick this image's share; see the base."""
        position, _, _ = self.enter(image, score, available)
        quota, most = int(self.quotas[position]), int(self.most[position])
        if not most:
            return
        asked = self.asked(image)
        picks = Picks.join([])
        randoms = self.share_by_chance(image, quota)
        if randoms:
            draws = self.draws('shuffle', image.name, np.arange(image.pixels))
            chance = uniform(draws).reshape(image.size)
            picks = self.find(
                image, chance, asked, available, self.enough(randoms), 'one'
            )
            picks = self.scored(picks, image, score, available)
            places, _ = self.shape.pixels(image, picks.places)
            asked, available = asked.copy(), available.copy()
            asked.reshape(-1)[places] = True
            available.reshape(-1)[places] = False
        rest = most - int(self.prices(picks).sum())
        if rest > 0:
            best = self.find(
                image,
                score,
                asked,
                available,
                self.enough(rest),
                self.aggregate,
            )
            assert best.orders is not None
            best = best._replace(orders=best.orders + len(picks.places))
            picks = Picks.join([picks, best])
        self._picks.append(picks)

    def candidates(self) -> Candidates:
        """Return every image's final picks."""
        return self.pack(Picks.join(self._picks))

    def choose(self, shards: Sequence[Candidates]) -> Selection:
        """Join the ranks' picks, and pass on what is missing; see the base."""
        picks = self.unpack(shards)
        if picks.orders is not None:
            picks = picks.take(np.lexsort((picks.orders, picks.image)))
        price = self.prices(picks)
        if not self.budget.per_image:
            found = np.bincount(picks.image, price, len(self.images))
            self.quotas = self._shares(
                np.minimum(found.astype(np.int64), self.most)
            )
        before = np.cumsum(price) - price  # (R,), of images before as well
        _, first, which = np.unique(
            picks.image, return_index=True, return_inverse=True
        )
        taken = before - before[first][which] < self.quotas[picks.image]
        picks = picks.take(taken)  # random ones first, then the best
        limits = {}
        if self.in_pixels:
            limits = {
                position: int(self.quotas[position])
                for position in np.unique(picks.image).tolist()
            }
        return self.ask(picks, limits)
