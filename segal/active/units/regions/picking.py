"""Find the best places of a map that are not near each other, exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segal.active.units.region import Ties, Wanted

_FEW = 8
"""Up to this reach, sorting is the faster way."""

_TILE = 32
"""Pixels a side of the tiles of which maxima are kept."""


def pick_apart(
    values: NDArray[np.float32],
    reach: int,
    ties: Ties,
    wanted: Wanted,
    sizes: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """Find the best places of which no two are near, as repeated argmax does.

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
    least = max(wanted.least, float(np.finfo(np.float32).min))
    if reach > _FEW:
        return _by_tiles(values, reach, ties, wanted, least, sizes)
    return _by_sorting(values, reach, ties, wanted, least, sizes)


def _by_tiles(
    values: NDArray[np.float32],
    reach: int,
    ties: Ties,
    wanted: Wanted,
    least: float,
    sizes: NDArray[np.int64] | None,
) -> NDArray[np.int64]:
    """Take one argmax for each, over tiles; for few places far apart."""
    height, width = values.shape
    rows, columns = -(-height // _TILE), -(-width // _TILE)
    left = np.full((rows * _TILE, columns * _TILE), -np.inf, np.float32)
    left[:height, :width] = values
    tiles = left.reshape(rows, _TILE, columns, _TILE).transpose(0, 2, 1, 3)
    highest = tiles.max(axis=(2, 3))  # (rows, columns)
    looked = np.zeros((rows, columns), bool)
    tie = np.zeros((rows, columns), np.uint64)
    at = np.zeros((rows, columns), np.int64)

    def look(row: NDArray[np.int64], column: NDArray[np.int64]) -> None:
        """Find the first of the highest in each of some tiles."""
        best = highest[row, column]
        tile, y, x = np.nonzero(tiles[row, column] == best[:, None, None])
        places = (row[tile] * _TILE + y) * width + column[tile] * _TILE + x
        keys = ties(places)
        last = np.argsort(keys)[::-1]  # the lowest is written last
        where = (row[tile[last]], column[tile[last]])
        tie[where], at[where] = keys[last], places[last]
        looked[row, column] = True

    picked: list[int] = []
    pixels = 0
    while len(picked) < wanted.regions and pixels < wanted.pixels:
        best = highest.max(initial=-np.inf)
        if not best >= least:
            break
        row, column = np.nonzero(highest == best)
        new = ~looked[row, column]
        if new.any():
            look(row[new], column[new])
        first = tie[row, column].argmin()
        place = int(at[row[first], column[first]])
        y, x = divmod(place, width)
        top, begin = max(0, y - reach), max(0, x - reach)
        bottom, end = min(height, y + reach + 1), min(width, x + reach + 1)
        left[top:bottom, begin:end] = -np.inf
        touched = (
            slice(top // _TILE, -(-bottom // _TILE)),
            slice(begin // _TILE, -(-end // _TILE)),
        )
        highest[touched] = tiles[touched].max(axis=(2, 3))
        looked[touched] = False
        picked.append(place)
        pixels += 1 if sizes is None else int(sizes.reshape(-1)[place])
    return np.array(picked, np.int64)


def _by_sorting(
    values: NDArray[np.float32],
    reach: int,
    ties: Ties,
    wanted: Wanted,
    least: float,
    sizes: NDArray[np.int64] | None,
) -> NDArray[np.int64]:
    """Go through the highest values in order; for many places."""
    height, width = values.shape
    flat = values.reshape(-1)
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
    """Find the highest values of at least ``least``, in order.

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
