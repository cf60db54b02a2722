from __future__ import annotations

from typing import Any

from segal.errors import ConfigError
from segal.registry import SELECTORS
from segal.seeding import key

from .context import Bools, Ints, QueryContext
from .diverse_images import DiverseImages
from .diversity import typical
from .top import Picks


@SELECTORS.register_module()
class TypiClust(DiverseImages):
    """Asks for the most typical image of each cluster without a label.

    The embeddings are parted into as many clusters as there are labelled
    images and images to ask; the largest clusters in which none is labelled
    come first, and in each the image whose neighbours are nearest. Clusters of
    fewer than five images come last, after those with labels.

    Source: Hacohen et al., Active Learning on a Budget: Opposite Strategies
    Suit High and Low Budgets, ICML 2022. Their embeddings are those of a
    self-supervised network; ours those of the round's.

    Args:
        context: See :class:`~segal.active.selectors.base.BaseSelector`.
        clusters: The most clusters that are made.
        neighbours: How many neighbours the mean distance is taken over.
        options: See
            :class:`~segal.active.selectors.diverse_images.DiverseImages`.

    Raises:
        ConfigError: ``clusters`` or ``neighbours`` is below 1.
    """

    def __init__(
        self,
        context: QueryContext,
        clusters: int = 500,
        neighbours: int = 20,
        **options: Any,
    ) -> None:
        super().__init__(context, **options)
        for name, value in (
            ('clusters', clusters),
            ('neighbours', neighbours),
        ):
            if value < 1:
                raise ConfigError(f'{name}: wanted 1 or more, got {value}')
        self.clusters = clusters
        self.neighbours = neighbours

    def spread(self, rows: Picks, count: int, taken: Bools) -> Ints:
        """See the base."""
        return typical(
            rows.coordinates,
            count,
            taken,
            rows.ties,
            key(self.seed, self.round, 'k-means'),
            self.clusters,
            self.neighbours,
        )
