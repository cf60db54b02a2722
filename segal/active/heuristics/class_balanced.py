from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from segal.errors import ConfigError
from segal.registry import HEURISTICS
from segal.structures import Prediction

from .composed import ComposedHeuristic
from .heuristics import BaseHeuristic
from .utils import likeliest


@HEURISTICS.register_module()
class ClassBalanced(ComposedHeuristic):
    """Another score, weighted up where a rare class is predicted.

    ``s * (f_max / f_c) ** power`` with ``f_c`` the share of the
    whole pool's pixels that are predicted as the pixel's class ``c``,
    smoothed by one pixel in each class. The shares cost one more pass over
    the pool; no ground truth is read.

    Source: class-balancing acquisition as in Cai et al., Revisiting
    Superpixels for Active Learning in Semantic Segmentation with Realistic
    Annotation Costs, CVPR 2021, section 3.3; there the weight is
    ``exp(-f_c)``.

    Args:
        of: The other heuristic; its scores must be 0 or more.
        power: How strongly; 0 changes nothing.
    """

    needs: tuple[str, ...] = ('probs', 'pool')

    def __init__(
        self, of: Mapping[str, Any] | BaseHeuristic, power: float = 1.0
    ) -> None:
        super().__init__(of)
        if power < 0:
            raise ConfigError(f'power: wanted 0 or more, got {power}')
        self.power = power

    def score(self, prediction: Prediction) -> Tensor:
        """See the class; reads ``probs`` and ``pool['class_counts']``."""
        assert prediction.probs is not None
        assert prediction.pool is not None
        score = self.weights(prediction)  # (H, W)
        counts = prediction.pool['class_counts'].to(score.device) + 1  # (C,)
        weights = (counts.max() / counts).float() ** self.power  # (C,)
        return score * weights[likeliest(prediction.probs)]  # (H, W)
