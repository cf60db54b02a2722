from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from segal.errors import ConfigError
from segal.seeding import key, place_keys, uniform
from segal.structures import Prediction

from .composed import ComposedHeuristic
from .heuristics import BaseHeuristic

SMALLEST = 2.0**-25
"""Half the step of a keyed draw; stands for 0 where a logarithm is taken."""


class GumbelHeuristic(ComposedHeuristic):
    """Another score, to whose logarithm keyed Gumbel noise is added.

    The best B of ``log w + g / beta``, with ``g`` from the standard Gumbel
    distribution, are B draws without replacement with weights ``w ** beta``.
    The draws are keyed by seed, round, image and pixel.

    Source: Kirsch et al., Stochastic Batch Acquisition: A Simple Baseline for
    Deep Active Learning, TMLR 2023.

    Args:
        of: The other heuristic.
        beta: Above 0; or one for each query, the last of which holds on.

    Raises:
        ConfigError: There is a beta of 0 or less, or none.
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

    def noise(self, prediction: Prediction, score: Tensor) -> Tensor:
        """Draw ``g / beta`` of the query for each pixel of a score.

        Args:
            prediction: Gives ``seed``, ``round`` and ``name``.
            score: (H, W), for size and device.

        Returns:
            float32 (H, W).
        """
        query = max(prediction.round - 1, 0)  # label file 1 is of the first
        beta = self.betas[min(query, len(self.betas) - 1)]
        stream = key(*prediction.key('gumbel'))
        draws = uniform(place_keys(stream, np.arange(score.numel())))
        u = torch.from_numpy(draws).to(score.device).view_as(score)
        u = u.clamp(SMALLEST, 1 - SMALLEST)
        return -torch.log(-torch.log(u)) / beta
