from __future__ import annotations

import math

import torch
from torch import Tensor

from segal.registry import HEURISTICS
from segal.structures import Prediction

from .stochastic import StochasticHeuristic


@HEURISTICS.register_module()
class VoteEntropy(StochasticHeuristic):
    """Entropy of the votes of several predictions.

    ``-sum_c v_c log v_c`` with ``v_c`` the share of the predictions whose
    likeliest class is ``c``, as a share of its largest value for so many
    predictions and classes; in [0, 1]. Unlike the variation ratio it tells
    votes for two classes from votes for many. How sure a prediction is does
    not count.

    Source: Dagan and Engelson, Committee-Based Sampling for Training
    Probabilistic Classifiers, ICML 1995.

    Args:
        passes: How many predictions are made of each image; see the base.
        source: ``'dropout'``, ``'views'`` or ``'committee'``; see the base.
    """

    def score(self, prediction: Prediction) -> Tensor:
        """See the class; reads what the source names."""
        votes, count = self.votes(prediction)  # (C, H, W)
        total = torch.zeros(votes.shape[1:], device=votes.device)  # (H, W)
        for plane in votes:
            total += torch.special.entr(plane / count)
        largest = math.log(max(2, min(count, len(votes))))
        return (total / largest).clamp_(0, 1)
