"""Pixels by the seeding of k-means++: per image, and over the pool."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segal.registry import SELECTORS
from segal.seeding import key

from .diverse_pixels import DiverseGlobal, DiversePerImage, DiversePixels
from .diversity import Cloud, Points, k_means_plus_plus
from .top import Picks


class KMeansPixels(DiversePixels):
    """Draws pixels, those that look unlike all others likelier."""

    def _cloud(self, rows: Picks) -> Cloud:
        return Points(rows.coordinates)

    def _spread(
        self, rows: Picks, count: int, taken: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        stream = key(self.seed, self.round, 'k-means++')
        cloud = self._cloud(rows)
        return k_means_plus_plus(cloud, count, taken, rows.ties, stream)


@SELECTORS.register_module()
class PixelsKMeansPlusPlus(KMeansPixels, DiversePerImage):
    """Draws pixels of each image, those unlike all drawn so far likelier.

    Source: Arthur and Vassilvitskii, k-means++: The Advantages of Careful
    Seeding, SODA 2007.

    Its arguments are those of
    :class:`~segal.active.selectors.diverse_pixels.DiversePerImage`.
    """


@SELECTORS.register_module()
class PixelsKMeansPlusPlusGlobal(KMeansPixels, DiverseGlobal):
    """The same over the best pixels of the whole pool.

    Its arguments are those of
    :class:`~segal.active.selectors.diverse_pixels.DiverseGlobal`.
    """
