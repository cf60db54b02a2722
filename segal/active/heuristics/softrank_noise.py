from __future__ import annotations

from torch import Tensor

from segal.registry import HEURISTICS
from segal.structures import Prediction

from .gumbel import GumbelHeuristic


@HEURISTICS.register_module()
class SoftrankNoise(GumbelHeuristic):
    """Another score's rank in its image, drawn by chance.

    ``-log r + g / beta`` with ``r`` the rank of a pixel among those of its
    image, 1 for the highest score, and ``g`` from the standard Gumbel
    distribution: the best B of it are B draws without replacement with
    weights ``r ** -beta``. Only the order of the scores counts, not their
    size, and every image has the same ranks, also for a budget over the whole
    pool. Pixels of one score share their mean rank.

    Regions want ``aggregate='max'``: in a mean the noise is lost. Whole images
    are drawn uniformly, since the ranks of all are the same.

    Source: Kirsch et al., Stochastic Batch Acquisition: A Simple Baseline for
    Deep Active Learning, TMLR 2023 (soft-rank acquisition); there ranks are
    those in the pool.

    Args:
        of: The other heuristic.
        beta: Above 0; or one for each query, the last of which holds on.
    """

    def score(self, prediction: Prediction) -> Tensor:
        """See the class; reads ``seed``, ``round``, ``name``, too."""
        score = self.inner(prediction)  # (H, W)
        ranks = mean_ranks(score)
        return self.noise(prediction, score) - ranks.log().float()


def mean_ranks(score: Tensor) -> Tensor:
    """Compute the rank of each score in descending order.

    Returns:
        float64 of the same shape, from 1 for the highest; scores that are
        equal share the mean of their places.
    """
    _, inverse, counts = (-score).unique(
        return_inverse=True, return_counts=True
    )
    last = counts.cumsum(0).double()
    return (last - (counts - 1) / 2)[inverse]
