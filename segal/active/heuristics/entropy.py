from __future__ import annotations

from torch import Tensor

from segal.registry import HEURISTICS
from segal.structures import Prediction

from .heuristics import BaseHeuristic
from .utils import normalised_entropy


@HEURISTICS.register_module()
class Entropy(BaseHeuristic):
    """Shannon entropy of the class probabilities.

    ``-sum_c p_c log p_c / log C``, in [0, 1]: 1 where all classes are equally
    likely, 0 where one class is certain. Dividing by ``log C`` changes no
    order; it makes scores comparable between data sets.

    Source: Shannon, A Mathematical Theory of Communication, 1948; as a query
    strategy: Settles and Craven, An Analysis of Active Learning Strategies
    for Sequence Labeling Tasks, EMNLP 2008.
    """

    def score(self, prediction: Prediction) -> Tensor:
        """See the class; reads ``probs``."""
        assert prediction.probs is not None
        return normalised_entropy(prediction.probs)  # (H, W)
