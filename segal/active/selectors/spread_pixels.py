from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segal.errors import ConfigError
from segal.registry import SELECTORS
from segal.seeding import place_keys
from segal.structures import PoolImage, Prediction

from .per_image import PixelsPerImage
from .top import best


@SELECTORS.register_module()
class PixelsSpread(PixelsPerImage):
    """Gives every image the same share, and keeps the picks apart.

    The best pixel is picked, all within ``distance`` of it are passed over,
    then the best of the rest is picked, and so on. Where an image has no room
    for its share, the best of those passed over fill it: the budget is spent
    exactly. Picks of earlier rounds do not count.

    Source: greedy non-maximum suppression, as Xie et al. (RIPU, CVPR 2022)
    keep their regions from overlapping.

    Args:
        args: See :class:`~segal.active.selectors.base.BaseSelector`.
        distance: How far apart two picks of one image and round are at least,
            in pixels, along the rows or along the columns; 1 is no limit.
        kwargs: See the base; the draw from a top per cent does not go with
            this.

    Raises:
        ConfigError: ``distance`` is below 1, or ``top_percent`` is set.
    """

    def __init__(self, *args: Any, distance: int = 8, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if distance < 1:
            raise ConfigError(
                f'distance: wanted 1 pixel or more, got {distance}'
            )
        self._refuse_top_percent('the best that are apart')
        self.distance = distance

    def _by_score(
        self,
        image: PoolImage,
        places: NDArray[np.int64],
        scores: NDArray[np.float32],
        quota: int,
        taken: NDArray[np.int64],
        prediction: Prediction | None,
    ) -> NDArray[np.int64]:
        """See the base; how many are sorted grows until there are enough."""
        tie = self._stream('tie', image.name)
        looked_at = 8 * quota
        while True:
            top = best(
                scores, lambda at: place_keys(tie, places[at]), looked_at
            )
            ties = place_keys(tie, places[top])
            order = top[np.lexsort((ties, -scores[top]))]
            apart = self._apart(image, places[order], quota, taken)
            if apart.sum() == quota or len(order) == len(places):
                break
            looked_at *= 4
        rest = order[~apart][: quota - int(apart.sum())]
        return np.concatenate([order[apart], rest])

    def _apart(
        self,
        image: PoolImage,
        places: NDArray[np.int64],
        quota: int,
        taken: NDArray[np.int64],
    ) -> NDArray[np.bool_]:
        """Which of some places, best first, are picked: bool (n,)."""
        width = image.size[1]
        reach = self.distance - 1
        free = np.ones(image.size, bool)

        def pick(place: int) -> None:
            row, column = divmod(place, width)
            free[
                max(0, row - reach) : row + reach + 1,
                max(0, column - reach) : column + reach + 1,
            ] = False

        for place in taken.tolist():
            pick(place)
        picked = np.zeros(len(places), bool)
        flat = free.reshape(-1)
        for i, place in enumerate(places.tolist()):
            if quota and flat[place]:
                pick(place)
                picked[i] = True
                quota -= 1
        return picked
