from __future__ import annotations

from typing import Any, ClassVar

from segal.errors import ConfigError
from segal.registry import SELECTORS
from segal.structures import Prediction

from .context import Floats, QueryContext
from .diversity import finite, mean_gradient, project
from .k_means_images import KMeansPlusPlus


@SELECTORS.register_module()
class Badge(KMeansPlusPlus):
    """Draws images whose gradients are large and point elsewhere.

    An image's vector is the gradient that it would give a last 1x1 layer over
    the features, were its likeliest classes the true ones, averaged over its
    pixels: C x F numbers. Seeding of k-means++ among them, with the labelled
    images as the first centres.

    Memory: as :class:`~segal.active.selectors.diverse_images.DiverseImages`,
    with C x min(F, ``dims``) in place of F.

    Source: Ash et al., Deep Batch Active Learning by Diverse, Uncertain
    Gradient Lower Bounds, ICLR 2020, algorithm 1. There an image has one
    label, and labelled ones are left out.

    Args:
        context: See :class:`~segal.active.selectors.base.BaseSelector`.
        dims: The features are projected to so many dimensions first; None
            keeps all.
        options: See
            :class:`~segal.active.selectors.diverse_images.DiverseImages`.

    Raises:
        ConfigError: ``dims`` is below 1.
    """

    needs: ClassVar[tuple[str, ...]] = ('probs', 'features')

    def __init__(
        self, context: QueryContext, dims: int | None = 128, **options: Any
    ) -> None:
        super().__init__(context, **options)
        check_dims(dims)
        self.dims = dims

    def vector(self, prediction: Prediction) -> Floats:
        """Describe an image by its mean gradient: float32 (C F,)."""
        probs, features = prediction.probs, prediction.features
        assert probs is not None
        assert features is not None
        features = project(features.float(), self.dims, self.seed)
        gradient = mean_gradient(probs, features).cpu().numpy()  # (C F,)
        return finite(gradient, type(self).__name__, prediction.name)


def check_dims(dims: int | None) -> None:
    """Check that features can be projected to so many dimensions."""
    if dims is not None and dims < 1:
        raise ConfigError(
            'dims: wanted how many dimensions the features are projected '
            f'to, 1 or more, or None for all of them; got {dims}'
        )
