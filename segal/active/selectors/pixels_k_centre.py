"""Pixels by k-centre: per image, and over the pool."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segal.registry import SELECTORS

from .diverse_pixels import DiverseGlobal, DiversePerImage, DiversePixels
from .diversity import Points, k_centre
from .top import Picks


class _KCentre(DiversePixels):
    def _spread(
        self, rows: Picks, count: int, taken: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        return k_centre(Points(rows.coordinates), count, taken)


@SELECTORS.register_module()
class PixelsKCentre(_KCentre, DiversePerImage):
    """Picks in each image what looks least like all that is picked.

    The first pick is the best pixel.

    Source: Sener and Savarese, ICLR 2018, algorithm 1, on pixels.

    Its arguments are those of
    :class:`~segal.active.selectors.diverse_pixels.DiversePerImage`.
    """


@SELECTORS.register_module()
class PixelsKCentreGlobal(_KCentre, DiverseGlobal):
    """The same over the best pixels of the whole pool.

    Its arguments are those of
    :class:`~segal.active.selectors.diverse_pixels.DiverseGlobal`.
    """
