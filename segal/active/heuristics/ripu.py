from __future__ import annotations

import math

import torch
from torch import Tensor

from segal.errors import ConfigError
from segal.registry import HEURISTICS
from segal.structures import Prediction

from .heuristics import BaseHeuristic
from .utils import (
    box_count,
    box_mean,
    in_full,
    likeliest,
    normalised_entropy,
)


@HEURISTICS.register_module()
class RIPU(BaseHeuristic):
    """Region impurity x prediction uncertainty, of the square around a pixel.

    Impurity is the entropy of the classes that the square's pixels are
    predicted as, uncertainty the mean entropy of their probabilities; both as
    a share of their largest value, so the score is in [0, 1]. It is high
    where several classes meet and the network is unsure. At the border the
    square is what of it lies in the image.

    Source: Xie et al., Towards Fewer Annotations: Active Learning via Region
    Impurity and Prediction Uncertainty for Domain Adaptive Semantic
    Segmentation, CVPR 2022, equations 1 to 4. There the entropies are not
    normalised, which changes no order.

    Args:
        k: Pixels from the centre of the square to its side; it is 2k + 1
            pixels wide.
    """

    def __init__(self, k: int = 1) -> None:
        if not 1 <= k <= 90:
            raise ConfigError(f'k: wanted 1 to 90 pixels, got {k}')
        self.k = k

    def score(self, prediction: Prediction) -> Tensor:
        """See the class; reads ``probs``."""
        assert prediction.probs is not None
        probs = in_full(prediction.probs)  # (C, H, W)
        uncertainty = box_mean(normalised_entropy(probs)[None], self.k)[0]
        classes = likeliest(probs)  # (H, W)
        # -sum n/A log n/A = (A log A - sum n log n) / A, from one table
        n = torch.arange((2 * self.k + 1) ** 2 + 1, device=probs.device)
        table = torch.special.xlogy(n, n.to(probs.dtype))  # ((2k + 1)^2 + 1,)

        def looked_up(counts: Tensor) -> Tensor:
            return table.index_select(0, counts.view(-1)).view_as(uncertainty)

        area = box_count(torch.ones_like(classes, dtype=torch.bool), self.k)
        impurity = looked_up(area)  # (H, W)
        classes = classes.to(torch.int16)  # compared faster
        for number in range(len(probs)):
            mask = classes == number  # (H, W)
            if mask.any():
                impurity -= looked_up(box_count(mask, self.k))
        impurity /= area * math.log(len(probs))
        return impurity.clamp_(min=0) * uncertainty  # (H, W)
