from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from torch import Tensor

from segal.errors import ConfigError
from segal.structures import Prediction

from .heuristics import BaseHeuristic


class StochasticHeuristic(BaseHeuristic):
    """A heuristic on several stochastic predictions of an image.

    They come from dropout that stays on, while batch norm and all else are as
    in any query.

    Args:
        passes: How many predictions are made of each image.
    """

    needs: tuple[str, ...] = ('samples',)

    def __init__(self, passes: int = 10) -> None:
        if passes < 2:
            raise ConfigError(f'passes: wanted 2 or more, got {passes}')
        self.passes = passes

    def samples(self, prediction: Prediction) -> Iterator[Tensor]:
        """Each float32 (C, H, W); one is in memory at a time."""
        assert prediction.samples is not None
        return islice(prediction.samples, self.passes)
