from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from segal.errors import ConfigError
from segal.registry import HEURISTICS
from segal.structures import Prediction

from .heuristics import BaseHeuristic


class ComposedHeuristic(BaseHeuristic):
    """A heuristic that changes another's score, or what the other reads.

    Args:
        of: The other: ``dict(type='Margin')``, or one that is built.
    """

    def __init__(self, of: Mapping[str, Any] | BaseHeuristic) -> None:
        self.of = (
            of if isinstance(of, BaseHeuristic) else HEURISTICS.build(dict(of))
        )
        own = [need for need in self.needs if need not in self.of.needs]
        self.needs = (*self.of.needs, *own)

    def inner(self, prediction: Prediction) -> Tensor:
        """Return the other's score, float32 (H, W)."""
        return self.of(prediction)

    def weights(self, prediction: Prediction) -> Tensor:
        """Return the other's score, checked to be 0 or more: float32 (H, W).

        Raises:
            ConfigError: It is negative somewhere.
        """
        score = self.inner(prediction)
        lowest = float(score.min())
        if lowest < 0:
            raise ConfigError(
                f'{type(self).__name__}: wanted scores of 0 or more, but '
                f'{type(self.of).__name__} gave {lowest:.3g}; put it around '
                'another heuristic'
            )
        return score
