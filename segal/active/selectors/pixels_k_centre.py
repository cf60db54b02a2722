"""Pixels by k-centre: per image, and over the pool."""

from __future__ import annotations

from segal.registry import SELECTORS

from .diverse_pixels import DiverseGlobal, DiversePerImage
from .diversity import KCentre


@SELECTORS.register_module()
class PixelsKCentre(DiversePerImage):
    """Picks in each image what looks least like all that is picked.

    The first pick is the best pixel.

    Source: Sener and Savarese, ICLR 2018, algorithm 1, on pixels.

    Its arguments are those of
    :class:`~segal.active.selectors.diverse_pixels.DiversePerImage`.
    """

    diversity = KCentre()


@SELECTORS.register_module()
class PixelsKCentreGlobal(DiverseGlobal):
    """Picks in the pool what looks least like all that is picked.

    See :class:`PixelsKCentre`. Its arguments are those of
    :class:`~segal.active.selectors.diverse_pixels.DiverseGlobal`.
    """

    diversity = KCentre()
