"""From picks to points, and back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from segal.active.selectors.top import Picks

Spread = Callable[[Picks, int, NDArray[np.bool_]], NDArray[np.int64]]
"""Picks with vectors, in order of preference; how many to choose; and bool
(N,), which are chosen already -> int64, indices of the others."""


def among(
    left: Picks, taken: Picks, count: int, spread: Spread
) -> NDArray[np.int64]:
    """Choose some picks that lie apart, from each other and from others.

    Both are put into one order first, so that neither that in which images
    came nor how they were dealt to ranks can matter.

    Args:
        left: Those to choose from, with vectors.
        taken: Those that were chosen before, with vectors.
        count: How many are wanted.
        spread: Chooses.

    Returns:
        int64 (min(count, N),), indices into ``left``.
    """
    if not count or not len(left.places):
        return np.empty(0, np.int64)
    order = np.lexsort((left.places, left.image, left.ties, -left.scores))
    rows = Picks.join([left.take(order), taken.sort()])
    chosen = spread(rows, count, np.arange(len(rows.places)) >= len(order))
    return order[chosen]
