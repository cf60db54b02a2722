"""Choose picks that lie apart, by a function of their vectors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from segal.active.selectors.context import Bools, Ints
from segal.active.selectors.top import Picks

Spread = Callable[[Picks, int, Bools], Ints]
"""N picks with vectors, in order of preference; how many to choose; bool (N,),
which are chosen already -> int64, indices of those it chooses."""


def spread(left: Picks, taken: Picks, count: int, choose: Spread) -> Ints:
    """Choose some picks that lie apart, from each other and from others.

    Both are sorted first, so that neither the order of images nor the rank
    that an image was dealt to can matter.

    Args:
        left: Picks to choose from, with vectors.
        taken: Picks that were chosen before, with vectors.
        count: How many to choose.
        choose: Chooses among the rows of both.

    Returns:
        int64 (min(count, N),), indices into ``left``.
    """
    if not count or not len(left.places):
        return np.empty(0, np.int64)
    order = np.lexsort((left.places, left.image, left.ties, -left.scores))
    rows = Picks.join([left.take(order), taken.sort()])
    chosen = choose(rows, count, np.arange(len(rows.places)) >= len(order))
    return order[chosen]
