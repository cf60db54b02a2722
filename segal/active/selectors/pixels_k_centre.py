"""Pixels by k-centre: per image, and over the pool."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segal.registry import SELECTORS

from .diverse_pixels import DiverseGlobal, DiversePerImage, Diversity
from .diversity import Points, k_centre
from .top import Picks


class KCentre(Diversity):
    """Chooses the pixel farthest from all that are chosen, again and again."""

    def choose(
        self, rows: Picks, count: int, taken: NDArray[np.bool_], stream: int
    ) -> NDArray[np.int64]:
        """See the base."""
        return k_centre(Points(rows.coordinates), count, taken)


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
