from __future__ import annotations

import math

import torch
from torch import Tensor

from segal.registry import HEURISTICS
from segal.structures import Prediction

from .stochastic import StochasticHeuristic
from .utils import in_full


@HEURISTICS.register_module()
class OutputDiscrepancy(StochasticHeuristic):
    """Distance of further predictions from the first.

    The mean Euclidean distance of their class probabilities from those of
    the first, as a share of its largest value; in [0, 1]. The first member of
    a committee is the round's own network: with the networks of earlier
    rounds beside it (``committee=[dict(rounds=1)]``), the score is high where
    the last labels changed the network's mind. Where nothing stands beside
    the first, it is 0.

    Source: Huang et al., Semi-Supervised Active Learning with Temporal Output
    Discrepancy, ICCV 2021; there of one earlier network, and summed over an
    image.

    Args:
        passes: How many predictions are made of each image; see the base.
        source: ``'committee'``, ``'dropout'`` or ``'views'``; see the base.
    """

    needs: tuple[str, ...] = ('committee',)

    def __init__(
        self, passes: int | None = None, source: str = 'committee'
    ) -> None:
        super().__init__(passes, source)

    def score(self, prediction: Prediction) -> Tensor:
        """See the class; reads what the source names."""
        samples = self.samples(prediction)
        first = in_full(next(samples))  # (C, H, W)
        total = torch.zeros_like(first[0])  # (H, W)
        others = 0
        for probs in samples:
            square = torch.zeros_like(total)
            for ours, theirs in zip(first, in_full(probs), strict=True):
                square += (ours - theirs).square_()
            total += square.sqrt_()
            others += 1
        return (total / (math.sqrt(2) * max(others, 1))).clamp_(0, 1)
