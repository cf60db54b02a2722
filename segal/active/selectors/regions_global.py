from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from segal.active.units.regions import Wanted
from segal.errors import ConfigError
from segal.registry import SELECTORS
from segal.structures import Candidates, PoolImage, Prediction, Selection

from .regions import ROW, BaseRegions, by_score


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

    evenly: ClassVar[bool | None] = False

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
        rows = by_score(np.concatenate([np.empty(0, ROW), *self._rows]))
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
