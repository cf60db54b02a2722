from __future__ import annotations

from torch import Tensor

from segal.registry import HEURISTICS
from segal.structures import Prediction

from .stochastic import StochasticHeuristic
from .utils import in_full, normalised_entropy


@HEURISTICS.register_module()
class BALD(StochasticHeuristic):
    """How much several stochastic predictions contradict each other.

    ``H(mean of p) - mean of H(p)``, the mutual information of a pixel's class
    and the weights, as a share of its largest value; in [0, 1]. It is 0 where
    all predictions are equally unsure: more labels do not help there.

    Source: Houlsby et al., Bayesian Active Learning for Classification and
    Preference Learning, 2011; with dropout: Gal et al., Deep Bayesian Active
    Learning with Image Data, ICML 2017.

    Args:
        passes: How many predictions are made of each image.
        source: ``'dropout'`` or ``'views'``; see the base.
    """

    def score(self, prediction: Prediction) -> Tensor:
        """See the class; reads ``samples`` or ``views``."""
        mean: Tensor | None = None
        entropy: Tensor | None = None
        for probs in self.samples(prediction):
            part = in_full(probs) / self.passes
            own = normalised_entropy(probs) / self.passes
            mean = part if mean is None else mean.add_(part)
            entropy = own if entropy is None else entropy.add_(own)
        assert mean is not None
        assert entropy is not None
        return (normalised_entropy(mean) - entropy).clamp_(min=0)
