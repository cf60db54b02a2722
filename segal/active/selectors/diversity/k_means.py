"""Run k-means, seeded by keyed draws."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segal.active.selectors.context import Bools, Floats, Ints, Keys
from segal.seeding import key, place_keys

from .clouds import Cloud, Points


def k_means_plus_plus(
    cloud: Cloud, count: int, taken: Bools, ties: Keys, stream: int
) -> Ints:
    """Draw points one after the other, far ones likelier than near ones.

    Each is drawn with a probability proportional to its squared distance to
    the nearest chosen so far; the first one, where nothing is chosen yet,
    uniformly. A draw is a race: a point's time is exponential with that
    distance as its rate, made from the point's own key and the number of the
    draw; the earliest wins. Where every point left lies on a chosen one, the
    first is taken.

    Time: a pass over the cloud for each point chosen or taken. Memory: 40 N
    bytes beside the cloud.

    Source: Arthur and Vassilvitskii, k-means++: The Advantages of Careful
    Seeding, SODA 2007, section 2.2; the race is that of Efraimidis and
    Spirakis, Weighted random sampling with a reservoir, 2006.

    Args:
        cloud: N points, in order of preference.
        count: How many to choose.
        taken: bool (N,), those that were chosen before.
        ties: uint64 (N,), a keyed draw for each point.
        stream: From :func:`~segal.seeding.key`, one for each use.

    Returns:
        int64 (min(count, points not taken),), as they were chosen.
    """
    nearest = np.full(len(cloud), np.inf, np.float32)
    for i in np.flatnonzero(taken).tolist():
        np.minimum(nearest, cloud.squared_to(i), out=nearest)
    left = ~taken
    names = ties.view(np.int64)
    count = min(count, int(np.count_nonzero(left)))
    chosen = np.empty(count, np.int64)
    for n in range(count):
        rates = np.where(np.isinf(nearest), np.float32(1), nearest)
        open_points = left & (rates > 0)
        if open_points.any():
            times = _exponential(place_keys(key(stream, n), names))
            with np.errstate(divide='ignore'):
                times /= rates
            times[~open_points] = np.inf
            i = int(times.argmin())
        else:
            i = int(left.argmax())
        chosen[n] = i
        left[i] = False
        np.minimum(nearest, cloud.squared_to(i), out=nearest)
    return chosen


def _exponential(draws: Keys) -> NDArray[np.float64]:
    """Turn keyed draws into exponential times of rate 1: float64 (N,)."""
    shares = (draws >> np.uint64(11)).astype(np.float64)
    shares += 0.5
    shares /= 1 << 53  # in (0, 1)
    return -np.log(shares)


def k_means(
    vectors: Floats, count: int, ties: Keys, stream: int, steps: int = 100
) -> Ints:
    """Assign each point to a cluster.

    Lloyd's steps from :func:`k_means_plus_plus`, until nothing changes.

    Time: ``steps`` x 2 N K F operations at most. Memory: 4 N (3 F + K) bytes.

    Source: Lloyd, Least squares quantization in PCM, 1982.

    Args:
        vectors: float32 (N, F), in order of preference.
        count: K, how many clusters; N at most.
        ties: uint64 (N,), a keyed draw for each point.
        stream: From :func:`~segal.seeding.key`, one for each use.
        steps: At most so many.

    Returns:
        int64 (N,), in [0, K); a cluster may be empty.
    """
    cloud = Points(vectors)
    nothing = np.zeros(len(cloud), bool)
    seeds = k_means_plus_plus(cloud, count, nothing, ties, stream)
    points = cloud.vectors
    centres = points[torch.from_numpy(seeds)]  # (K, F)
    labels = _closest(points, centres)
    for _ in range(steps):
        centres = _means(points, labels, centres)
        before, labels = labels, _closest(points, centres)
        if torch.equal(before, labels):
            break
    return labels.numpy()


def _closest(points: Tensor, centres: Tensor) -> Tensor:
    """Find the nearest centre of each point, int64 (N,)."""
    half = torch.einsum('kf,kf->k', centres, centres) / 2
    return (half - points @ centres.T).argmin(dim=1)


def _means(points: Tensor, labels: Tensor, centres: Tensor) -> Tensor:
    """Compute the mean of each cluster, float32 (K, F)."""
    sums = torch.zeros(centres.shape, dtype=torch.float64)
    sums.index_add_(0, labels, points.double())
    sizes = torch.bincount(labels, minlength=len(centres))[:, None]
    return torch.where(sizes > 0, (sums / sizes.clamp(min=1)).float(), centres)
