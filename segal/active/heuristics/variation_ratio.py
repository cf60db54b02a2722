from __future__ import annotations

import torch
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
        passes: How many predictions are made of each image.
        source: ``'dropout'`` or ``'views'``; see the base.
    """

    def score(self, prediction: Prediction) -> Tensor:
        """See the class; reads ``samples`` or ``views``."""
        votes: Tensor | None = None
        for probs in self.samples(prediction):
            if votes is None:
                votes = torch.zeros_like(probs, dtype=torch.int16)
            choice = probs.argmax(dim=0, keepdim=True)  # (1, H, W)
            ones = torch.ones_like(choice, dtype=torch.int16)
            votes.scatter_add_(0, choice, ones)  # (C, H, W)
        assert votes is not None
        return 1 - votes.amax(dim=0).float() / self.passes  # (H, W)
