from __future__ import annotations

from segal.registry import SELECTORS

from .diverse_images import DiverseImages
from .diversity import KMeansSeeds


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

    diversity = KMeansSeeds()
