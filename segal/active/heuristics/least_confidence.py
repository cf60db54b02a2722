from __future__ import annotations

from torch import Tensor

from segal.registry import HEURISTICS
from segal.structures import Prediction

from .heuristics import BaseHeuristic
from .utils import in_full


@HEURISTICS.register_module()
class LeastConfidence(BaseHeuristic):
    """One minus the probability of the likeliest class.

    ``1 - p1``, in [0, 1 - 1/C]: highest where all classes are equally likely,
    0 where one class is certain.

    Source: Lewis and Gale, A Sequential Algorithm for Training Text
    Classifiers, SIGIR 1994; for more than two classes: Culotta and McCallum,
    Reducing Labeling Effort for Structured Prediction Tasks, AAAI 2005.
    """

    def score(self, prediction: Prediction) -> Tensor:
        """See the class; reads ``probs``."""
        assert prediction.probs is not None
        return 1 - in_full(prediction.probs).amax(0)  # (H, W)
