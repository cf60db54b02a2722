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
        passes: How many predictions are made of each image.
        source: ``'dropout'`` or ``'views'``; see the base.
    """

    def score(self, prediction: Prediction) -> Tensor:
        """See the class; reads ``samples`` or ``views``."""
        mean: Tensor | None = None
        for probs in self.samples(prediction):
            part = in_full(probs) / self.passes
            mean = part if mean is None else mean.add_(part)
        assert mean is not None
        return normalised_entropy(mean)  # (H, W)
