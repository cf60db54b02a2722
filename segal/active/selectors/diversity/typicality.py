from __future__ import annotations

import numpy as np
import torch

from segal.active.selectors.context import Bools, Floats, Ints, Keys

from .k_means import k_means

_ROWS = 1024
"""Points whose distances to their cluster are held at once."""

_SMALL = 5
"""Clusters of fewer points come last, when the others are used up."""


def typical(
    vectors: Floats,
    count: int,
    taken: Bools,
    ties: Keys,
    stream: int,
    clusters: int = 500,
    neighbours: int = 20,
) -> Ints:
    """Choose typical points of clusters in which nothing was chosen yet.

    The points are parted into as many clusters as there are points taken and
    to be chosen. Then, ``count`` times: of the clusters with the fewest
    chosen points the largest is taken, and in it the most typical point, one
    whose nearest neighbours in the cluster are nearest on the mean.

    Time and memory: those of k-means, and 8 x 1024 x the largest cluster
    bytes.

    Source: Hacohen et al., Active Learning on a Budget: Opposite Strategies
    Suit High and Low Budgets, ICML 2022, section 3 and appendix F. They drop
    clusters of fewer than five points; here those come last, since a budget
    is spent exactly.

    Args:
        vectors: float32 (N, F), in order of preference.
        count: How many to choose.
        taken: bool (N,), those that were chosen before.
        ties: uint64 (N,), a keyed draw for each point.
        stream: From :func:`~segal.seeding.key`, one for each use.
        clusters: At most so many, 1 or more.
        neighbours: How many count for a point's typicality, 1 or more.

    Returns:
        int64 (min(count, points not taken),), as they were chosen.
    """
    left = ~taken
    count = min(count, int(np.count_nonzero(left)))
    if not count:
        return np.empty(0, np.int64)
    wanted = int(np.count_nonzero(taken)) + count
    parts = k_means(vectors, min(wanted, clusters), ties, stream)  # (N,)
    sizes = np.bincount(parts)
    covered = np.bincount(parts[taken], minlength=len(sizes))
    queues = {
        part: _by_typicality(
            vectors, np.flatnonzero(parts == part), left, neighbours
        )
        for part in np.unique(parts[left]).tolist()
    }
    chosen = np.empty(count, np.int64)
    for n in range(count):
        part = min(
            queues, key=lambda i: (sizes[i] < _SMALL, covered[i], -sizes[i], i)
        )
        chosen[n] = queues[part].pop()
        covered[part] += 1
        if not queues[part]:
            del queues[part]
    return chosen


def _by_typicality(
    vectors: Floats, members: Ints, left: Bools, neighbours: int
) -> list[int]:
    """Sort the points left in a cluster, the most typical one last."""
    points = torch.from_numpy(vectors[members]).double()
    others = min(neighbours, len(members) - 1)
    far = torch.zeros(len(members), dtype=torch.float64)
    for start in range(0, len(members) if others else 0, _ROWS):
        rows = points[start : start + _ROWS]
        apart = torch.cdist(
            rows, points, compute_mode='donot_use_mm_for_euclid_dist'
        )
        itself = torch.arange(len(rows))
        apart[itself, start + itself] = torch.inf
        nearest = apart.topk(others, dim=1, largest=False).values
        far[start : start + _ROWS] = nearest.sort(dim=1).values.mean(dim=1)
    order = np.argsort(far.numpy(), kind='stable')  # (n,)
    return [int(i) for i in members[order][::-1] if left[i]]
