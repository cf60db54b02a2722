"""A heuristic of one's own: one class, one method, outside the package."""

from torch import Tensor

from segal.active.heuristics import BaseHeuristic
from segal.registry import HEURISTICS
from segal.structures import Prediction


@HEURISTICS.register_module()
class Gini(BaseHeuristic):
    """How likely two draws from a pixel's probabilities differ.

    ``1 - sum_c p_c ** 2``: 0 where one class is certain, ``1 - 1 / C`` where
    all are equally likely. Higher means: label this first.
    """

    def score(self, prediction: Prediction) -> Tensor:
        """See the class; reads ``probs``, (C, H, W)."""
        return 1 - prediction.probs.square().sum(dim=0)  # (H, W)
