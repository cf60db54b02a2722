"""Pixels by their gradients: per image, and over the pool."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from segal.registry import SELECTORS
from segal.structures import Prediction

from .context import Floats, Ints
from .diverse_pixels import DiverseGlobal, DiversePerImage
from .diversity import Cloud, Gradients, KMeansSeeds, errors_at
from .top import Picks


class BadgePixels(KMeansSeeds):
    """Draws pixels by k-means++ over the gradients of a last layer.

    A vector is C, then the C errors of a pixel, then its F features.
    """

    def vectors(
        self, prediction: Prediction, places: Ints, features: Floats
    ) -> Floats:
        """Describe some pixels of an image: float32 (n, 1 + C + F)."""
        assert prediction.probs is not None
        errors = errors_at(prediction.probs, places).cpu().numpy()
        classes = np.full((len(places), 1), errors.shape[1], np.float32)
        return np.concatenate([classes, errors, features], axis=1)

    def cloud(self, rows: Picks) -> Cloud:
        """See the base; the points are gradients."""
        vectors = rows.coordinates  # (N, 1 + C + F)
        return Gradients(vectors[:, 1:], int(vectors[0, 0]))


@SELECTORS.register_module()
class PixelsBadge(DiversePerImage):
    """Draws pixels of each image whose gradients are large and differ.

    A pixel's vector is the gradient that it would give a last 1x1 layer, were
    its likeliest class the true one: ``(p - e) x features``. It is never
    written out: C + F numbers a pixel do.

    Source: Ash et al., Deep Batch Active Learning by Diverse, Uncertain
    Gradient Lower Bounds, ICLR 2020, algorithm 1, on the best pixels alone.

    Its arguments are those of
    :class:`~segal.active.selectors.diverse_pixels.DiversePerImage`.
    """

    needs: ClassVar[tuple[str, ...]] = ('probs', 'features')
    diversity = BadgePixels()


@SELECTORS.register_module()
class PixelsBadgeGlobal(DiverseGlobal):
    """Draws pixels of the pool whose gradients are large and differ.

    See :class:`PixelsBadge`. Its arguments are those of
    :class:`~segal.active.selectors.diverse_pixels.DiverseGlobal`.
    """

    needs: ClassVar[tuple[str, ...]] = ('probs', 'features')
    diversity = BadgePixels()
