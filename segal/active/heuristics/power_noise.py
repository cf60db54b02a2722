from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from segal.errors import ConfigError
from segal.registry import HEURISTICS
from segal.seeding import key, place_keys, uniform
from segal.structures import Prediction

from .composed import ComposedHeuristic
from .heuristics import BaseHeuristic

_SMALLEST = 2.0**-25


@HEURISTICS.register_module()
class PowerNoise(ComposedHeuristic):
    """Another score, drawn by chance in proportion to a power of it.

    ``log s + g / beta`` with ``g`` from the standard Gumbel distribution: the
    best B of it are B draws without replacement with weights ``s ** beta``.
    So the picks of a round are not all of one kind. A small beta is nearly
    random, a large one nearly the score itself. The draws are keyed by seed,
    round, image and pixel.

    Source: Kirsch et al., Stochastic Batch Acquisition: A Simple Baseline for
    Deep Active Learning, TMLR 2023 (power acquisition).

    Args:
        of: The other heuristic; its scores must be 0 or more.
        beta: Above 0; or one for each query, the last of which holds on.
    """

    needs: tuple[str, ...] = ()

    def __init__(
        self,
        of: Mapping[str, Any] | BaseHeuristic,
        beta: float | Sequence[float] = 1.0,
    ) -> None:
        super().__init__(of)
        self.betas = [beta] if isinstance(beta, int | float) else list(beta)
        if not self.betas or min(self.betas) <= 0:
            raise ConfigError(
                f'beta: wanted a number above 0, or some of them; got {beta}'
            )

    def score(self, prediction: Prediction) -> Tensor:
        """See the class; reads ``seed``, ``round``, ``name``, too."""
        score = self.weights(prediction)  # (H, W)
        query = max(prediction.round - 1, 0)  # label file 1 is of the first
        beta = self.betas[min(query, len(self.betas) - 1)]
        stream = key(*prediction.key('gumbel'))
        draws = uniform(place_keys(stream, np.arange(score.numel())))
        u = torch.from_numpy(draws).to(score.device).view_as(score)
        u = u.clamp(_SMALLEST, 1 - _SMALLEST)
        gumbel = -torch.log(-torch.log(u))
        return score.clamp(min=_SMALLEST).log() + gumbel / beta
