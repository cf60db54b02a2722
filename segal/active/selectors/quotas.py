"""Turn budgets into whole numbers, by pure functions."""

from __future__ import annotations

from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal

import numpy as np

from .context import Ints, Keys


def quotas(budget: int, free: Ints, tie_keys: Keys) -> Ints:
    """Spread a budget over images, as evenly as their free places allow.

    Every image gets the same share. What an image cannot take goes evenly to
    the others. What is left of an even division goes, one each, to the images
    with the lowest tie keys among those that can still take one.

    Args:
        budget: Places to give out.
        free: int64 (P,), how many places each image can take.
        tie_keys: uint64 (P,), a keyed draw for each image.

    Returns:
        int64 (P,), at most ``free``; its sum is ``min(budget, sum(free))``.
    """
    free = np.asarray(free, np.int64)
    budget = min(budget, int(free.sum()))
    low, high = 0, int(free.max(initial=0))
    while low < high:  # the highest level that the budget can pay everywhere
        level = (low + high + 1) // 2
        if int(np.minimum(free, level).sum()) <= budget:
            low = level
        else:
            high = level - 1
    shares = np.minimum(free, low)  # (P,)
    rest = budget - int(shares.sum())
    open_images = np.flatnonzero(free > low)
    lucky = open_images[np.argsort(tie_keys[open_images], kind='stable')]
    shares[lucky[:rest]] += 1
    return shares


def rounded_share(count: int, share: float) -> int:
    """Compute ``count * share``, halves rounded up, in decimal."""
    exact = Decimal(str(float(share))) * count
    return int(exact.to_integral_value(ROUND_HALF_UP))


def drawn_share(count: int, share: float, stream: int) -> int:
    """Compute ``count * share``, rounded up or down by a draw.

    Over many images the rounded numbers then add up to the share, however few
    each of them has.

    Args:
        count: How many there are.
        share: 0 to 1.
        stream: Key of the draw.
    """
    exact = Decimal(str(float(share))) * count
    whole = int(exact)
    return whole + (stream / 2.0**64 < float(exact - whole))


def top_count(pixels: int, percent: float) -> int:
    """Count the pixels of the top ``percent`` of an image, rounded down."""
    exact = Decimal(str(float(percent))) * pixels / 100
    return int(exact.to_integral_value(ROUND_FLOOR))
