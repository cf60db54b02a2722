from __future__ import annotations

import math

from torch import Tensor

from segal.errors import ConfigError
from segal.registry import HEURISTICS
from segal.structures import Prediction

from .heuristics import BaseHeuristic
from .utils import box_entropy, likeliest


@HEURISTICS.register_module()
class RegionImpurity(BaseHeuristic):
    """Entropy of the classes that are predicted in the square around a pixel.

    As a share of its largest value, in [0, 1]: 0 where the square is of one
    class. It is :class:`RIPU` without its uncertainty. At the border the
    square is what of it lies in the image.

    Source: Xie et al., Towards Fewer Annotations: Active Learning via Region
    Impurity and Prediction Uncertainty for Domain Adaptive Semantic
    Segmentation, CVPR 2022, equations 1 and 2.

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
        probs = prediction.probs  # (C, H, W)
        impurity = box_entropy(likeliest(probs), len(probs), self.k)
        return impurity.div_(math.log(len(probs)))  # (H, W)
