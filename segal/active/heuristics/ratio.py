from __future__ import annotations

from torch import Tensor

from segal.registry import HEURISTICS
from segal.structures import Prediction

from .heuristics import BaseHeuristic
from .utils import top_two


@HEURISTICS.register_module()
class Ratio(BaseHeuristic):
    """The second likeliest class over the likeliest.

    ``p2 / p1``, in [0, 1]: 1 where the first two tie, 0 where one class is
    certain. Unlike the margin it does not care how much the other classes
    have.

    Source: Settles, Active Learning Literature Survey, University of
    Wisconsin-Madison, 2009, section 3.1 (the margin, as a quotient).
    """

    def score(self, prediction: Prediction) -> Tensor:
        """See the class; reads ``probs``."""
        assert prediction.probs is not None
        first, second = top_two(prediction.probs)  # (H, W) each
        return second / first  # (H, W), first is at least 1 / C
