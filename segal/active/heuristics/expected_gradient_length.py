from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from segal.registry import HEURISTICS
from segal.structures import Prediction

from .heuristics import BaseHeuristic
from .utils import in_full

_AT_ONCE = 16


@HEURISTICS.register_module()
class ExpectedGradientLength(BaseHeuristic):
    """Expected length of the gradient that a label would cause.

    The cross-entropy of class y has the gradient ``(p - e_y) f^T`` by the
    weights of the last, linear layer, with ``f`` the features that enter it.
    Its length is ``|p - e_y| |f|``, and its mean over the classes as likely
    as the network says::

        |f| sum_y p_y sqrt(sum_c p_c^2 - 2 p_y + 1)

    Without features the score is this sum alone, in [0, 1): the length by the
    logits. It tells how unsure the network is, much as the Gini index does.

    Source: Settles and Craven, An Analysis of Active Learning Strategies for
    Sequence Labeling Tasks, EMNLP 2008 (expected gradient length); there of
    all weights.

    Args:
        features: Whether the length of the features counts: ``features`` of
            the prediction, resized bilinearly as mmseg does with logits
            (``align_corners=False``).
    """

    def __init__(self, features: bool = False) -> None:
        self.features = features
        self.needs = ('probs', 'features') if features else ('probs',)

    def score(self, prediction: Prediction) -> Tensor:
        """See the class; reads ``probs``, and ``features`` if they count."""
        assert prediction.probs is not None
        probs = in_full(prediction.probs)  # (C, H, W)
        squares = torch.ones_like(probs[0], dtype=torch.float64)  # (H, W)
        for plane in probs:
            squares.addcmul_(plane.double(), plane.double())
        total = torch.zeros_like(probs[0])
        for plane in probs:  # in float64: near certainty all but 1e-8 cancels
            length = torch.sub(squares, plane, alpha=2).clamp_(min=0)
            total.addcmul_(length.sqrt_().to(total.dtype), plane)
        if self.features:
            assert prediction.features is not None
            total *= feature_length(prediction.features, prediction.size)
        return total


def feature_length(features: Tensor, size: tuple[int, int]) -> Tensor:
    """Compute the length of each pixel's features, resized to the image.

    A few channels at a time: all of them at the image's size may be
    gigabytes.

    Args:
        features: Floating (F, h, w).
        size: (H, W) of the image.

    Returns:
        float32 (H, W).
    """
    total = torch.zeros(size, device=features.device)
    for channels in in_full(features).split(_AT_ONCE):
        resized = F.interpolate(
            channels[None], size, mode='bilinear', align_corners=False
        )[0]  # (16, H, W)
        total += resized.square_().sum(dim=0)
    return total.sqrt_()
