"""Pixels by the seeding of k-means++: per image, and over the pool."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segal.registry import SELECTORS

from .diverse_pixels import DiverseGlobal, DiversePerImage, Diversity
from .diversity import Cloud, Points, k_means_plus_plus
from .top import Picks


class KMeansPlusPlusPixels(Diversity):
    """Draws pixels; the farther from all that are drawn, the likelier."""

    def cloud(self, rows: Picks) -> Cloud:
        """Make the points of N rows, between which distances are taken."""
        return Points(rows.coordinates)

    def choose(
        self, rows: Picks, count: int, taken: NDArray[np.bool_], stream: int
    ) -> NDArray[np.int64]:
        """See the base."""
        return k_means_plus_plus(
            self.cloud(rows), count, taken, rows.ties, stream
        )


@SELECTORS.register_module()
class PixelsKMeansPlusPlus(DiversePerImage):
    """Draws pixels of each image; the less like those drawn, the likelier.

    Source: Arthur and Vassilvitskii, k-means++: The Advantages of Careful
    Seeding, SODA 2007.

    Its arguments are those of
    :class:`~segal.active.selectors.diverse_pixels.DiversePerImage`.
    """

    diversity = KMeansPlusPlusPixels()


@SELECTORS.register_module()
class PixelsKMeansPlusPlusGlobal(DiverseGlobal):
    """Draws pixels of the pool; the less like those drawn, the likelier.

    See :class:`PixelsKMeansPlusPlus`. Its arguments are those of
    :class:`~segal.active.selectors.diverse_pixels.DiverseGlobal`.
    """

    diversity = KMeansPlusPlusPixels()
