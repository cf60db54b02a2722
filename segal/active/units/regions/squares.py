from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from segal.active.heuristics.utils import box_sum
from segal.active.units.base import Fit
from segal.active.units.region import Found, Region, Ties, Wanted
from segal.active.units.regions.picking import pick_apart
from segal.errors import ConfigError
from segal.registry import UNITS
from segal.structures import PoolImage


@UNITS.register_module()
class Squares(Region):
    """Squares of ``2 * radius + 1`` pixels a side, around any pixel.

    At the edge of an image they are cut off. The number of a square is the
    flat index of its centre. What is found is what taking the highest score,
    striking out all centres within ``2 * radius``, and taking the highest of
    the rest would find, ties included; see
    :mod:`segal.active.units.regions.picking`.

    Source: Xie et al., Towards Fewer Annotations: Active Learning via Region
    Impurity and Prediction Uncertainty for Domain Adaptive Semantic
    Segmentation, CVPR 2022; there it is one argmax for each region.

    Args:
        radius: In pixels; 1 gives 3 x 3.

    Raises:
        ConfigError: It is below 1.
    """

    def __init__(self, radius: int = 1) -> None:
        if isinstance(radius, bool) or not isinstance(radius, int):
            raise ConfigError(f'radius: wanted a whole number, got {radius!r}')
        if radius < 1:
            raise ConfigError(
                f'radius: wanted 1 pixel or more, got {radius}; single pixels '
                "are runner.sample_mode='pixel'"
            )
        self.radius = radius

    def typical_pixels(self, image: PoolImage) -> int:
        """See the base."""
        side = 2 * self.radius + 1
        return min(side, image.size[0]) * min(side, image.size[1])

    def fit(self, image: PoolImage, count: bool = True) -> Fit:
        """Count squares with the widest gaps between them, and without gaps.

        One bars all centres within ``2 * radius`` of its own, so that fewer
        than ``ceil(H / (4 * radius + 1)) * ceil(W / (4 * radius + 1))`` never
        bar all; of ``2 * radius + 1`` neighbouring centres at most one is
        taken.
        """
        height, width = image.size

        def tiles(side: int) -> int:
            return -(-height // side) * -(-width // side)

        return Fit(
            tiles(4 * self.radius + 1), tiles(2 * self.radius + 1), True
        )

    def best(
        self,
        image: PoolImage,
        score: NDArray[np.float32],
        asked: NDArray[np.bool_],
        askable: NDArray[np.bool_],
        aggregate: str,
        ties: Ties,
        wanted: Wanted,
    ) -> Found:
        """See the base."""
        values, sizes = self.values(score, asked, askable, aggregate)
        at = pick_apart(values, 2 * self.radius, ties, wanted, sizes)
        return Found(at, values.reshape(-1)[at], sizes.reshape(-1)[at])

    def values(
        self,
        score: NDArray[np.float32],
        asked: NDArray[np.bool_],
        askable: NDArray[np.bool_],
        aggregate: str,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Compute the score and the size of the square around each pixel.

        Equal neighbourhoods get equal scores, to the bit: sums are taken
        anew for each pixel, not carried along.

        Returns:
            float32 (H, W), -inf where the square may not be asked; and int64
            (H, W), its askable pixels.
        """
        k = self.radius
        sizes = _box_sum(askable.astype(np.int64), k)  # (H, W)
        free = sizes > 0
        if asked.any():
            free &= _box_sum(asked.astype(np.int64), k) == 0
        values: NDArray
        if aggregate == 'one':
            values = score
        elif aggregate == 'max':
            values = ndimage.maximum_filter(
                np.where(askable, score, -np.inf),
                2 * k + 1,
                mode='constant',
                cval=-np.inf,
            )
        else:
            values = _box_sum(
                np.where(askable, score, 0).astype(np.float64), k
            )
            if aggregate == 'mean':
                values = values / np.maximum(sizes, 1)
        return np.where(free, values, -np.inf).astype(np.float32), sizes

    def pixels(
        self, image: PoolImage, numbers: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """See the base."""
        height, width = image.size
        span = np.arange(-self.radius, self.radius + 1)
        rows = (numbers // width)[:, None, None] + span[:, None]  # (R, n, 1)
        columns = (numbers % width)[:, None, None] + span  # (R, 1, n)
        rows, columns = np.broadcast_arrays(rows, columns)  # (R, n, n)
        inside = (
            (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        )
        places = (rows * width + columns)[inside]
        owner = np.broadcast_to(
            np.arange(len(numbers), dtype=np.int32)[:, None, None], rows.shape
        )[inside]
        order = np.argsort(places, kind='stable')
        return places[order], owner[order]


def _box_sum(values: NDArray, radius: int) -> NDArray:
    """Sum over the square around each pixel: (H, W)."""
    total: NDArray = box_sum(torch.from_numpy(values), radius).numpy()
    return total
