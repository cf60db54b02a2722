from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from segal.errors import ConfigError
from segal.registry import HEURISTICS
from segal.structures import Prediction

from .composed import ComposedHeuristic
from .heuristics import BaseHeuristic
from .utils import box_mean


@HEURISTICS.register_module()
class Smoothed(ComposedHeuristic):
    """Another score, averaged over the square around each pixel.

    Single pixels that stick out count less, places where many are unsure
    count more. At the border the square is what of it lies in the image.

    Source: the mean over a region is that of Xie et al. (RIPU), CVPR 2022.

    Args:
        of: The other heuristic.
        k: Pixels from the centre of the square to its side.
    """

    needs: tuple[str, ...] = ()

    def __init__(
        self, of: Mapping[str, Any] | BaseHeuristic, k: int = 1
    ) -> None:
        super().__init__(of)
        if k < 1:
            raise ConfigError(f'k: wanted 1 pixel or more, got {k}')
        self.k = k

    def score(self, prediction: Prediction) -> Tensor:
        """See the class."""
        return box_mean(self.inner(prediction)[None], self.k)[0]
