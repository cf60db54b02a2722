from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from segal.active.regions.base import Found, RegionShape, Ties, Wanted
from segal.errors import ConfigError
from segal.registry import REGIONS
from segal.structures import PoolImage


@REGIONS.register_module()
class Squares(RegionShape):
    """Squares of ``2 * radius + 1`` pixels a side, around any pixel.

    At the edge of an image they are cut off. The number of a square is the
    flat index of its centre. What is found is what taking the highest score,
    striking out all centres within ``2 * radius``, and taking the highest of
    the rest would find, ties included; scores are sorted instead, a few at
    first.

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
        """The score and the size of the square around each pixel.

        Equal neighbourhoods get equal scores, to the bit: sums are taken
        anew for each pixel, not carried along.

        Args:
            score: See :meth:`best`.
            asked: See :meth:`best`.
            askable: See :meth:`best`.
            aggregate: See :meth:`best`.

        Returns:
            float32 (H, W), -inf where the square may not be asked; and int64
            (H, W), its askable pixels.
        """
        k = self.radius
        sizes = box_sum(askable, k, np.dtype(np.int64))  # (H, W)
        free = sizes > 0
        if asked.any():
            free &= box_sum(asked, k, np.dtype(np.int64)) == 0
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
            values = box_sum(
                np.where(askable, score, 0), k, np.dtype(np.float64)
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


def box_sum(values: NDArray, radius: int, dtype: np.dtype) -> NDArray:
    """Sums over the square around each pixel, 0 beyond the edge.

    Args:
        values: (H, W).
        radius: Of the squares, in pixels.
        dtype: Of the sums.

    Returns:
        (H, W).
    """
    total = values.astype(dtype)
    for axis in (0, 1):
        length = total.shape[axis]
        line = total.copy()
        for shift in range(1, min(radius, length - 1) + 1):
            near = _along(axis, slice(None, -shift))
            far = _along(axis, slice(shift, None))
            line[near] += total[far]
            line[far] += total[near]
        total = line
    return total


def _along(axis: int, part: slice) -> tuple[slice, ...]:
    return (part,) if axis == 0 else (slice(None), part)


def pick_apart(
    values: NDArray[np.float32],
    reach: int,
    ties: Ties,
    wanted: Wanted,
    sizes: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """The best places of which no two are near, as if by one argmax for each.

    Args:
        values: float32 (H, W); -inf is never taken.
        reach: Two places are near if they are at most so many rows and so
            many columns apart, in pixels.
        ties: Flat indices -> their tie keys; the lower of two equal values
            goes first.
        wanted: When to stop.
        sizes: int64 (H, W), pixels that come with each place; 1 where None.

    Returns:
        int64 (R,), flat indices, best first.
    """
    height, width = values.shape
    flat = values.reshape(-1)
    least = max(wanted.least, float(np.finfo(np.float32).min))
    blocked = np.zeros((height, width), bool)
    struck = memoryview(blocked.reshape(-1))  # type: ignore[arg-type]
    weights = None if sizes is None else sizes.reshape(-1)
    area = (reach + 1) ** 2
    picked: list[int] = []
    pixels, begin = 0, 0
    regions = min(wanted.regions, flat.size)
    looked_at = (
        4
        * area
        * max(min(regions, -(-min(wanted.pixels, flat.size) // area)), 16)
    )
    while True:
        order = _highest(flat, looked_at, least, ties)
        for chunk in np.split(
            order[begin:], range(4096, len(order) - begin, 4096)
        ):
            open_ones = chunk[~blocked.reshape(-1)[chunk]]
            for place in open_ones.tolist():
                if struck[place]:
                    continue
                if len(picked) >= regions or pixels >= wanted.pixels:
                    return np.array(picked, np.int64)
                row, column = divmod(place, width)
                blocked[
                    max(0, row - reach) : row + reach + 1,
                    max(0, column - reach) : column + reach + 1,
                ] = True
                picked.append(place)
                pixels += 1 if weights is None else int(weights[place])
        if len(order) < looked_at:  # there are no more
            return np.array(picked, np.int64)
        begin, looked_at = len(order), 8 * looked_at


def _highest(
    flat: NDArray[np.float32], count: int, least: float, ties: Ties
) -> NDArray[np.int64]:
    """The highest values of at least ``least``, in order.

    A threshold guessed from a few values makes the rest cheap; it changes
    nothing in what is found.

    Returns:
        int64 (min(count, all of them),), value descending, then tie key
        ascending.
    """
    guess = np.float32(least)
    if flat.size > 16 * 1024 and count < flat.size // 2:
        few = np.sort(flat[:: max(1, flat.size // 16384)])[::-1]
        at = int(1.3 * len(few) * count / flat.size) + 32
        if at < len(few):
            guess = max(guess, few[at])
    near = np.flatnonzero(flat >= guess)
    if len(near) < count and guess > np.float32(least):
        near = np.flatnonzero(flat >= np.float32(least))
    if len(near) > count:
        at_border = np.partition(flat[near], len(near) - count)
        border = at_border[len(near) - count]
        near = near[flat[near] >= border]
    keys = ties(near)
    order = near[np.lexsort((keys, -flat[near]))]
    return order[:count]
