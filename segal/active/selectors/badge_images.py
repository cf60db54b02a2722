from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from segal.errors import ConfigError
from segal.registry import SELECTORS
from segal.structures import Prediction

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
        args: See :class:`~segal.active.selectors.base.BaseSelector`.
        dims: The features are projected to so many dimensions first; None
            keeps all.
        kwargs: See
            :class:`~segal.active.selectors.diverse_images.DiverseImages`.

    Raises:
        ConfigError: ``dims`` is below 1.
    """

    needs: ClassVar[tuple[str, ...]] = ('probs', 'features')

    def __init__(
        self, *args: Any, dims: int | None = 128, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        check_dims(dims)
        self.dims = dims

    def _vector(self, prediction: Prediction) -> NDArray[np.float32]:
        probs, features = prediction.probs, prediction.features
        assert probs is not None
        assert features is not None
        features = project(features.float(), self.dims, self.seed)
        gradient = mean_gradient(probs, features).cpu().numpy()  # (C F,)
        return finite(gradient, type(self).__name__, prediction.name)


def check_dims(dims: int | None) -> None:
    """Whether features can be projected to so many dimensions.

    Raises:
        ConfigError: They cannot.
    """
    if dims is not None and dims < 1:
        raise ConfigError(
            'dims: wanted how many dimensions the features are projected '
            f'to, 1 or more, or None for all of them; got {dims}'
        )
