from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segal.registry import SELECTORS
from segal.seeding import key

from .diverse_images import DiverseImages
from .diversity import Points, k_means_plus_plus
from .top import Picks


@SELECTORS.register_module()
class KMeansPlusPlus(DiverseImages):
    """Draws images; the farther from all labelled ones, the likelier.

    The seeding of k-means++ over embeddings, with the labelled images as the
    first centres: as :class:`~segal.active.selectors.core_set.CoreSet`, but
    one image that lies far from all others is not taken for certain.

    Source: Arthur and Vassilvitskii, k-means++: The Advantages of Careful
    Seeding, SODA 2007.

    Its arguments are those of
    :class:`~segal.active.selectors.diverse_images.DiverseImages`.
    """

    def spread(
        self, rows: Picks, count: int, taken: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        """See the base."""
        stream = key(self.seed, self.round, 'k-means++')
        cloud = Points(rows.coordinates)
        return k_means_plus_plus(cloud, count, taken, rows.ties, stream)
