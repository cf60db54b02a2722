from __future__ import annotations

from segal.registry import SELECTORS

from .diverse_images import DiverseImages
from .diversity import KCentre


@SELECTORS.register_module()
class CoreSet(DiverseImages):
    """Asks for the images farthest from all that are labelled.

    Greedy k-centre over embeddings, with the labelled images as the first
    centres: no image of the pool ends far from a labelled one.

    Source: Sener and Savarese, Active Learning for Convolutional Neural
    Networks: A Core-Set Approach, ICLR 2018, algorithm 1.

    Its arguments are those of
    :class:`~segal.active.selectors.diverse_images.DiverseImages`.
    """

    diversity = KCentre()
