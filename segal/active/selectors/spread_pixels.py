from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from segal.errors import ConfigError
from segal.registry import SELECTORS
from segal.structures import PoolImage, Prediction

from .context import Bools, Floats, Ints, QueryContext
from .per_image import PixelsPerImage


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
        context: See :class:`~segal.active.selectors.base.BaseSelector`.
        distance: How far apart two picks of one image and round are at least,
            in pixels, along the rows or along the columns; 1 is no limit.
        options: See the base; the draw from a top per cent does not go with
            this.

    Raises:
        ConfigError: ``distance`` is below 1, or ``top_percent`` is set.
    """

    takes: ClassVar[str] = 'the best that are apart'

    def __init__(
        self, context: QueryContext, distance: int = 8, **options: Any
    ) -> None:
        super().__init__(context, **options)
        if distance < 1:
            raise ConfigError(
                f'distance: wanted 1 pixel or more, got {distance}'
            )
        self.distance = distance

    def pick(
        self,
        image: PoolImage,
        places: Ints,
        scores: Floats,
        quota: int,
        taken: Ints,
        prediction: Prediction | None,
    ) -> Ints:
        """Choose the best that are apart; see the base."""
        looked_at = 8 * quota
        while True:  # until enough of the best are looked at
            top = self.best(image, places, scores, looked_at)
            ties = self.ties(image.name, places[top])
            order = top[np.lexsort((ties, -scores[top]))]
            apart = self._apart(image, places[order], quota, taken)
            if apart.sum() == quota or len(order) == len(places):
                break
            looked_at *= 4
        rest = order[~apart][: quota - int(apart.sum())]
        return np.concatenate([order[apart], rest])

    def _apart(
        self, image: PoolImage, places: Ints, quota: int, taken: Ints
    ) -> Bools:
        """Mark those of some places, best first, to pick: bool (n,)."""
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
