from __future__ import annotations

from torch import Tensor

from segal.registry import HEURISTICS
from segal.structures import Prediction

from .stochastic import StochasticHeuristic
from .utils import in_full, normalised_entropy


@HEURISTICS.register_module()
class BALD(StochasticHeuristic):
    """Disagreement of several stochastic predictions (mutual information).

    ``H(mean of p) - mean of H(p)``, the mutual information of a pixel's class
    and the weights, as a share of its largest value; in [0, 1]. It is 0 where
    all predictions are equally unsure: more labels do not help there.

    It is also the mean Kullback-Leibler divergence of the predictions from
    their mean, the disagreement of a committee in McCallum and Nigam,
    Employing EM and Pool-Based Active Learning for Text Classification, ICML
    1998, and their generalised Jensen-Shannon divergence.

    Source: Houlsby et al., Bayesian Active Learning for Classification and
    Preference Learning, 2011; with dropout: Gal et al., Deep Bayesian Active
    Learning with Image Data, ICML 2017.

    Args:
        passes: How many predictions are made of each image; see the base.
        source: ``'dropout'``, ``'views'`` or ``'committee'``; see the base.
    """

    def score(self, prediction: Prediction) -> Tensor:
        """See the class; reads what the source names."""
        total: Tensor | None = None
        entropy: Tensor | None = None
        count = 0
        for probs in self.samples(prediction):
            own = normalised_entropy(probs)  # (H, W)
            entropy = own if entropy is None else entropy.add_(own)
            total = (
                in_full(probs).clone()
                if total is None
                else total.add_(in_full(probs))
            )
            count += 1
        assert total is not None
        assert entropy is not None
        mean = total.div_(count)  # (C, H, W)
        return (normalised_entropy(mean) - entropy / count).clamp_(min=0)
