from __future__ import annotations

from torch import Tensor

from segal.registry import HEURISTICS
from segal.structures import Prediction

from .gumbel import SMALLEST, GumbelHeuristic


@HEURISTICS.register_module()
class PowerNoise(GumbelHeuristic):
    """Another score, drawn by chance in proportion to a power of it.

    ``log s + g / beta`` with ``g`` from the standard Gumbel distribution: the
    best B of it are B draws without replacement with weights ``s ** beta``.
    So the picks of a round are not all of one kind. A small beta is nearly
    random, a large one nearly the score itself. A score of 0 is hardly ever
    drawn.

    Whole images and regions want ``aggregate='max'``: they are then drawn with
    the sum of their pixels' weights. In a mean the noise is lost.

    Source: Kirsch et al., Stochastic Batch Acquisition: A Simple Baseline for
    Deep Active Learning, TMLR 2023 (power acquisition).

    Args:
        of: The other heuristic; its scores must be 0 or more.
        beta: Above 0; or one for each query, the last of which holds on.
    """

    def score(self, prediction: Prediction) -> Tensor:
        """See the class; reads ``seed``, ``round``, ``name``, too."""
        score = self.weights(prediction)  # (H, W)
        noise = self.noise(prediction, score)
        return score.clamp(min=SMALLEST).log() + noise
