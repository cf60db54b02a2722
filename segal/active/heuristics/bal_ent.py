from __future__ import annotations

import math

import torch
from torch import Tensor

from segal.registry import HEURISTICS
from segal.structures import Prediction

from .stochastic import StochasticHeuristic
from .utils import in_full

_LEAST_MEAN = 1e-6  # softmax in float32 reaches 0 and 1
_PRECISION = 1e-2, 1e6  # alpha + beta: predictions at odds, and all the same
_NEAREST = 1e-6


@HEURISTICS.register_module()
class BalEnt(StochasticHeuristic):
    """Balanced entropy: information about weights against class entropy.

    The probability of each class, over several predictions, is taken as
    Beta(alpha, beta) of the same mean and variance. With ``h`` the
    differential entropy, ``H`` the entropy of the mean prediction and ``E``
    the means::

        B = (sum_c E_c h(Beta(alpha_c + 1, beta_c)) + H) / (H + log 2)

    The score is ``1 / B`` where B is 0 or more, and B below that: highest
    where B is just above 0, near a border between classes but not on it; it
    is negative where predictions agree, or contradict each other outright.
    So ``PowerNoise`` cannot stand around it; ``SoftrankNoise`` can.

    Source: Woo, Active Learning in Bayesian Neural Networks with Balanced
    Entropy Learning Principle, ICLR 2023. Here the variance is divided by the
    number of predictions, so that there always is such a Beta distribution;
    means are kept 1e-6 away from 0 and 1, alpha + beta in [1e-2, 1e6].

    Args:
        passes: How many predictions are made of each image; see the base.
        source: ``'dropout'``, ``'views'`` or ``'committee'``; see the base.
    """

    def score(self, prediction: Prediction) -> Tensor:
        """See the class; reads what the source names."""
        mean: Tensor | None = None
        squares: Tensor | None = None  # of the distances from the mean
        count = 0
        for probs in self.samples(prediction):
            count += 1
            probs = in_full(probs)
            if mean is None or squares is None:
                mean, squares = probs.clone(), torch.zeros_like(probs)
                continue
            off = probs - mean  # (C, H, W)
            mean += off / count
            squares += off.mul_(probs - mean)
        assert mean is not None
        assert squares is not None
        entropy = torch.zeros_like(mean[0], dtype=torch.float64)  # (H, W)
        joint = torch.zeros_like(entropy)
        for share, square in zip(mean, squares, strict=True):
            share = share.double().clamp_(_LEAST_MEAN, 1 - _LEAST_MEAN)
            entropy += torch.special.entr(share)
            joint += share * _posterior_entropy(share, square / count)
        balance = (joint + entropy) / (entropy + math.log(2))  # (H, W)
        turned = 1 / balance.clamp(min=_NEAREST)
        return torch.where(balance < 0, balance, turned).float()


def _posterior_entropy(mean: Tensor, variance: Tensor) -> Tensor:
    """Compute the differential entropy of a Beta distribution.

    In float64: terms that grow with alpha + beta cancel.

    Args:
        mean: float64 (H, W), inside (0, 1), of the distribution before.
        variance: Floating (H, W), 0 or more, likewise.

    Returns:
        float64 (H, W), at most 0: that of Beta(alpha + 1, beta), in nats.
    """
    precision = mean * (1 - mean) / variance.double() - 1  # alpha + beta
    precision = precision.clamp_(*_PRECISION)
    alpha = mean * precision + 1
    beta = (1 - mean) * precision
    both = alpha + beta
    entropy = torch.lgamma(alpha) + torch.lgamma(beta) - torch.lgamma(both)
    entropy -= (alpha - 1) * torch.digamma(alpha)
    entropy -= (beta - 1) * torch.digamma(beta)
    entropy += (both - 2) * torch.digamma(both)
    return entropy.clamp_(max=0)
