from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from segal.errors import ConfigError
from segal.registry import HEURISTICS
from segal.structures import Prediction

from .composed import ComposedHeuristic
from .heuristics import BaseHeuristic
from .utils import in_full


@HEURISTICS.register_module()
class Tempered(ComposedHeuristic):
    """Another score, of probabilities at another softmax temperature.

    The softmax of ``logits / T`` is ``p ** (1 / T)``, normalised. Above 1 the
    probabilities are softer, which helps where the network is over-confident.
    Of a heuristic on several predictions each of them is softened.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017.

    Args:
        of: The other heuristic.
        temperature: T, above 0; 1 changes nothing.
    """

    def __init__(
        self,
        of: Mapping[str, Any] | BaseHeuristic,
        temperature: float = 2.0,
    ) -> None:
        super().__init__(of)
        if not temperature > 0:
            raise ConfigError(
                f'temperature: wanted a number above 0, got {temperature}'
            )
        self.temperature = temperature

    def score(self, prediction: Prediction) -> Tensor:
        """See the class; reads ``probs``, and what the other reads."""
        assert prediction.probs is not None

        def each(stream: Iterator[Tensor] | None) -> Iterator[Tensor] | None:
            return None if stream is None else map(self.soften, stream)

        return self.inner(
            replace(
                prediction,
                probs=self.soften(prediction.probs),
                samples=each(prediction.samples),
                views=each(prediction.views),
                committee=each(prediction.committee),
            )
        )

    def soften(self, probs: Tensor) -> Tensor:
        """Compute probabilities at another temperature, float32 (C, H, W)."""
        probs = in_full(probs)
        if self.temperature < 1:  # powers of small numbers are all 0
            probs = probs / probs.amax(dim=0)
        probs = probs ** (1 / self.temperature)
        total = torch.zeros_like(probs[0])  # (H, W)
        for plane in probs:  # in this order, whatever the memory's
            total += plane
        return probs / total
