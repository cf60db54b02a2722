from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segal.errors import ConfigError
from segal.registry import SELECTORS
from segal.seeding import key

from .diverse_images import DiverseImages
from .diversity import typical
from .top import Picks


@SELECTORS.register_module()
class TypiClust(DiverseImages):
    """Asks for the most typical image of each cluster without a label.

    The embeddings are parted into as many clusters as there are labelled
    images and images to ask; the largest clusters in which none is labelled
    come first, and in each the image whose neighbours are nearest.

    Source: Hacohen et al., Active Learning on a Budget: Opposite Strategies
    Suit High and Low Budgets, ICML 2022. Their embeddings are those of a
    self-supervised network; ours those of the round's.

    Args:
        args: See :class:`~segal.active.selectors.base.BaseSelector`.
        clusters: At most so many.
        neighbours: Over how many the mean distance goes.
        kwargs: See
            :class:`~segal.active.selectors.diverse_images.DiverseImages`.

    Raises:
        ConfigError: ``clusters`` or ``neighbours`` is below 1.
    """

    def __init__(
        self,
        *args: Any,
        clusters: int = 500,
        neighbours: int = 20,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        for name, value in (
            ('clusters', clusters),
            ('neighbours', neighbours),
        ):
            if value < 1:
                raise ConfigError(f'{name}: wanted 1 or more, got {value}')
        self.clusters = clusters
        self.neighbours = neighbours

    def _spread(
        self, rows: Picks, count: int, taken: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        return typical(
            rows.coordinates,
            count,
            taken,
            rows.ties,
            key(self.seed, self.round, 'k-means'),
            self.clusters,
            self.neighbours,
        )
