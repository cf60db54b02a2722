from __future__ import annotations

from torch import Tensor

from segal.registry import HEURISTICS
from segal.structures import Prediction

from .gumbel import GumbelHeuristic


@HEURISTICS.register_module()
class SoftmaxNoise(GumbelHeuristic):
    """Another score, drawn by chance in proportion to its exponential.

    ``s + g / beta`` with ``g`` from the standard Gumbel distribution: the best
    B of it are B draws without replacement with weights ``exp(beta s)``. Only
    differences between scores count, so they may be negative, and a score of
    0 is drawn, too. For scores in [0, 1] a beta of 1 is nearly random; about
    10 lets the score speak.

    Whole images and regions want ``aggregate='max'``: they are then drawn with
    the sum of their pixels' weights. In a mean the noise is lost.

    Source: Kirsch et al., Stochastic Batch Acquisition: A Simple Baseline for
    Deep Active Learning, TMLR 2023 (softmax acquisition).

    Args:
        of: The other heuristic.
        beta: Above 0; or one for each query, the last of which holds on.
    """

    def score(self, prediction: Prediction) -> Tensor:
        """See the class; reads ``seed``, ``round``, ``name``, too."""
        score = self.inner(prediction)  # (H, W)
        return score + self.noise(prediction, score)
