from __future__ import annotations

import math

import torch
from torch import Tensor

from segal.registry import HEURISTICS
from segal.structures import Prediction

from .heuristics import BaseHeuristic
from .utils import in_full


@HEURISTICS.register_module()
class OneVsRestEntropy(BaseHeuristic):
    """Entropy of each class against all others, summed over classes.

    ``sum_c h(p_c)`` with the binary entropy ``h``, as a share of its largest
    value, ``C h(1 / C)``; in [0, 1]. Against the entropy it adds what the
    complements ``1 - p_c`` say.

    Source: Wu et al., Active Learning with Context Sampling and One-vs-Rest
    Entropy for Semantic Segmentation, WACV 2025.
    """

    def score(self, prediction: Prediction) -> Tensor:
        """See the class; reads ``probs``."""
        assert prediction.probs is not None
        probs = in_full(prediction.probs)  # (C, H, W)
        total = torch.zeros_like(probs[0])  # (H, W)
        for plane in probs:
            total += torch.special.entr(plane)
            total += torch.special.entr((1 - plane).clamp_(min=0))
        share = 1 / len(probs)
        largest = -math.log(share) - (len(probs) - 1) * math.log(1 - share)
        return (total / largest).clamp_(0, 1)
