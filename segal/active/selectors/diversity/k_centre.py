from __future__ import annotations

import numpy as np

from segal.active.selectors.context import Bools, Ints

from .clouds import Cloud


def k_centre(cloud: Cloud, count: int, taken: Bools) -> Ints:
    """Choose points such that no point is far from a chosen one.

    Greedy: the point farthest from all chosen so far is chosen next, the first
    of equals; where nothing is chosen yet, the first point. The largest
    distance is at most twice the best possible.

    From N points, in order of preference, and ``taken``, bool (N,), those that
    were chosen before: int64 (min(count, points not taken),), as they were
    chosen.

    Time: a pass over the cloud for each point chosen or taken. Memory: 8 N
    bytes beside the cloud.

    Source: Gonzalez, Clustering to minimize the maximum intercluster distance,
    1985; for active learning Sener and Savarese, Active Learning for
    Convolutional Neural Networks: A Core-Set Approach, ICLR 2018, algorithm 1
    (without their mixed integer program).
    """
    nearest = np.full(len(cloud), np.inf, np.float32)
    for i in np.flatnonzero(taken).tolist():
        np.minimum(nearest, cloud.squared_to(i), out=nearest)
    nearest[taken] = -1  # below every distance: never chosen again
    count = min(count, int(np.count_nonzero(~taken)))
    chosen = np.empty(count, np.int64)
    for n in range(count):
        i = int(nearest.argmax())
        chosen[n] = i
        if n + 1 < count:
            np.minimum(nearest, cloud.squared_to(i), out=nearest)
            nearest[i] = -1
    return chosen
