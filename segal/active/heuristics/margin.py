from __future__ import annotations

from torch import Tensor

from segal.registry import HEURISTICS
from segal.structures import Prediction

from .heuristics import BaseHeuristic
from .utils import top_two


@HEURISTICS.register_module()
class Margin(BaseHeuristic):
    """Gap between the two likeliest classes, turned so that unsure is high.

    ``1 - (p1 - p2)``, in [0, 1]: 1 where the first two tie, 0 where one class
    is certain.

    Source: Scheffer et al., Active Hidden Markov Models for Information
    Extraction, IDA 2001.
    """

    def score(self, prediction: Prediction) -> Tensor:
        """See the class; reads ``probs``."""
        assert prediction.probs is not None
        first, second = top_two(prediction.probs)  # (H, W) each
        return 1 - (first - second)  # (H, W)
