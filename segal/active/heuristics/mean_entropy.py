from __future__ import annotations

from torch import Tensor

from segal.registry import HEURISTICS
from segal.structures import Prediction

from .stochastic import StochasticHeuristic
from .utils import in_full, normalised_entropy


@HEURISTICS.register_module()
class MeanEntropy(StochasticHeuristic):
    """Entropy of the mean of several stochastic predictions.

    In [0, 1], as a share of its largest value. It is high where single
    predictions are unsure, and where they contradict each other.

    Source: Gal et al., Deep Bayesian Active Learning with Image Data, ICML
    2017 (max entropy).

    Args:
        passes: How many predictions are made of each image; see the base.
        source: ``'dropout'``, ``'views'`` or ``'committee'``; see the base.
    """

    def score(self, prediction: Prediction) -> Tensor:
        """See the class; reads what the source names."""
        total: Tensor | None = None
        count = 0
        for probs in self.samples(prediction):
            total = (
                in_full(probs).clone()
                if total is None
                else total.add_(in_full(probs))
            )
            count += 1
        assert total is not None
        return normalised_entropy(total.div_(count))  # (H, W)
