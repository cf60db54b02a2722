from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from segal.errors import ConfigError
from segal.registry import SELECTORS
from segal.structures import Candidates, PoolImage, Prediction, Selection

from .context import Bools, Floats, QueryContext
from .regions import BaseRegions
from .top import Picks


@SELECTORS.register_module()
class RegionsGlobal(BaseRegions):
    """Spends one budget on the best regions of the whole pool.

    Exact: regions of different images do not overlap, so the best of the pool
    are the best of each image's own, merged. Memory is bounded by the budget.
    ``Budget(q, per_image=True)`` is q times the number of images, spent
    anywhere.

    Args:
        context: See :class:`BaseRegions`.
        options: See :class:`BaseRegions`.

    Raises:
        ConfigError: ``shuffle_prop`` is set.
    """

    evenly: ClassVar[bool | None] = False

    def __init__(self, context: QueryContext, **options: Any) -> None:
        super().__init__(context, **options)
        if self.shuffle_prop:
            raise ConfigError(
                'shuffle_prop: regions are mixed with random ones image by '
                f'image, got {self.shuffle_prop} with a budget over the '
                'whole pool; set sample_evenly=True, or leave it out'
            )
        self.amount = min(self.total(), int(self.free.sum()))
        self._least = np.float32(-np.inf)
        self._picks: list[Picks] = []
        self._held = 0

    def shortlist(
        self,
        image: PoolImage,
        score: Floats,
        available: Bools,
        prediction: Prediction | None = None,
    ) -> None:
        """Keep what can be among the best; see the base."""
        self.enter(image, score, available)
        wanted = self.enough(self.amount, float(self._least))
        wanted = wanted._replace(regions=self.amount)
        picks = self.find(
            image, score, self.asked(image), available, wanted, self.aggregate
        )
        self._picks.append(picks)
        self._held += len(picks.places)
        if self._held > 2 * self.amount:
            self._picks = [self._cut()]
            self._held = len(self._picks[0].places)

    def _cut(self) -> Picks:
        """Keep the best that spend the budget; the last may be too much."""
        picks = Picks.join(self._picks).best_first()
        price = self.prices(picks)
        before = np.cumsum(price) - price
        kept = picks.take(before < self.amount)
        if len(kept.places) < len(picks.places):
            some = len(kept.places)
            self._least = kept.scores[-1] if some else np.float32(0)
        return kept

    def candidates(self) -> Candidates:
        """Return this rank's best."""
        return self.pack(self._cut())

    def choose(self, shards: Sequence[Candidates]) -> Selection:
        """Choose the best of all; see the base."""
        self._picks = [self.unpack(shards)]
        picks = self._cut()
        limits = {}
        if self.in_pixels and picks.sizes is not None and len(picks.sizes):
            over = int(picks.sizes.sum()) - self.amount
            if over > 0:
                last = int(picks.image[-1])
                mine = picks.sizes[picks.image == last]
                limits[last] = int(mine.sum()) - over
        return self.ask(picks, limits)
