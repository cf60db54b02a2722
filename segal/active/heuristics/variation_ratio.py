from __future__ import annotations

from torch import Tensor

from segal.registry import HEURISTICS
from segal.structures import Prediction

from .stochastic import StochasticHeuristic


@HEURISTICS.register_module()
class VariationRatio(StochasticHeuristic):
    """Share of several stochastic predictions that are not of the main class.

    ``1 - n / T``, where ``n`` of ``T`` predictions agree on the most frequent
    class; 0 where all agree. It has few different values, so ties decide
    much: put ``PowerNoise`` around it, or take many passes.

    Source: Freeman, Elementary Applied Statistics, 1965; Gal et al., Deep
    Bayesian Active Learning with Image Data, ICML 2017.

    Args:
        passes: How many predictions are made of each image; see the base.
        source: ``'dropout'``, ``'views'`` or ``'committee'``; see the base.
    """

    def score(self, prediction: Prediction) -> Tensor:
        """See the class; reads what the source names."""
        votes, count = self.votes(prediction)  # (C, H, W)
        return 1 - votes.amax(dim=0).float() / count  # (H, W)
