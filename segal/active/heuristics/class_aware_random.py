from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from segal.registry import HEURISTICS
from segal.seeding import key, place_keys, uniform
from segal.structures import Prediction

from .heuristics import BaseHeuristic
from .utils import likeliest


@HEURISTICS.register_module()
class ClassAwareRandom(BaseHeuristic):
    """Random, but rare predicted classes are as likely as frequent ones.

    Pixels are drawn with weights ``1 / n``, where ``n`` is how many pixels of
    the image are predicted as the same class: ``u ** n`` with ``u`` uniform,
    ranked, is that draw without replacement. No ground truth is read. It is
    the baseline for strategies that balance classes.

    Source: the weighted draw is that of Efraimidis and Spirakis, Weighted
    Random Sampling with a Reservoir, Information Processing Letters 2006.
    """

    is_draw: bool = True

    def score(self, prediction: Prediction) -> Tensor:
        """See the class; reads ``probs``, ``seed``, ``round``, ``name``."""
        assert prediction.probs is not None
        classes = likeliest(prediction.probs)  # (H, W)
        counts = torch.bincount(classes.flatten())  # (C,)
        stream = key(*prediction.key('class-aware'))
        draws = uniform(place_keys(stream, np.arange(classes.numel())))
        u = torch.from_numpy(draws).to(classes.device).view_as(classes)
        # log(u ** n) keeps its order where the power itself is 0 for all
        return counts[classes] * u.clamp(min=2.0**-25).log()  # (H, W)
