from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from segal.registry import HEURISTICS
from segal.seeding import key, place_keys, uniform
from segal.structures import Prediction

from .heuristics import BaseHeuristic


@HEURISTICS.register_module()
class Random(BaseHeuristic):
    """Uniform in [0, 1): the baseline every other heuristic has to beat.

    A pixel's score is a function of (seed, round, name, place), so it depends
    neither on the order of images nor on the number of processes. No forward
    pass is needed: only the size of the prediction is read.
    """

    needs: tuple[str, ...] = ()
    is_draw: bool = True

    def score(self, prediction: Prediction) -> Tensor:
        """See the class; reads ``seed``, ``round``, ``name``, ``size``."""
        height, width = prediction.size
        stream = key(*prediction.key('random'))
        draws = place_keys(stream, np.arange(height * width))  # (H * W,)
        return torch.from_numpy(uniform(draws)).view(height, width)  # (H, W)
