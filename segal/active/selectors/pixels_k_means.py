"""Pixels by the seeding of k-means++: per image, and over the pool."""

from __future__ import annotations

from segal.registry import SELECTORS

from .diverse_pixels import DiverseGlobal, DiversePerImage
from .diversity import KMeansSeeds


@SELECTORS.register_module()
class PixelsKMeansPlusPlus(DiversePerImage):
    """Draws pixels of each image; the less like those drawn, the likelier.

    Source: Arthur and Vassilvitskii, k-means++: The Advantages of Careful
    Seeding, SODA 2007.

    Its arguments are those of
    :class:`~segal.active.selectors.diverse_pixels.DiversePerImage`.
    """

    diversity = KMeansSeeds()


@SELECTORS.register_module()
class PixelsKMeansPlusPlusGlobal(DiverseGlobal):
    """Draws pixels of the pool; the less like those drawn, the likelier.

    See :class:`PixelsKMeansPlusPlus`. Its arguments are those of
    :class:`~segal.active.selectors.diverse_pixels.DiverseGlobal`.
    """

    diversity = KMeansSeeds()
