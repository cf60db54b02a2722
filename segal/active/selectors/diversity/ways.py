"""Ways to choose rows that lie apart, for pixels and for whole images."""

from __future__ import annotations

from abc import ABC, abstractmethod

from segal.active.selectors.context import Bools, Floats, Ints
from segal.active.selectors.top import Picks
from segal.structures import Prediction

from .clouds import Cloud, Points
from .k_centre import k_centre
from .k_means import k_means_plus_plus


class Diversity(ABC):
    """A way to choose rows that lie apart, for any scope of a budget."""

    def vectors(
        self, prediction: Prediction, places: Ints, features: Floats
    ) -> Floats:
        """Describe n pixels: float32 (n, any number).

        By default these are their ``features``, float32 (n, F).
        """
        return features

    def cloud(self, rows: Picks) -> Cloud:
        """Make the points of N rows, between which distances are taken."""
        return Points(rows.coordinates)

    @abstractmethod
    def choose(
        self, rows: Picks, count: int, taken: Bools, stream: int
    ) -> Ints:
        """Choose rows that lie apart, from each other and from some.

        Args:
            rows: N pixels or images with vectors, in order of preference.
            count: How many to choose.
            taken: bool (N,), those that count as chosen already.
            stream: Key of its random draws.

        Returns:
            int64 (min(count, rows not taken),), indices into ``rows``.
        """


class KCentre(Diversity):
    """Chooses the row farthest from all that are chosen, again and again."""

    def choose(
        self, rows: Picks, count: int, taken: Bools, stream: int
    ) -> Ints:
        """See the base."""
        return k_centre(self.cloud(rows), count, taken)


class KMeansSeeds(Diversity):
    """Draws rows; the farther from all that are drawn, the likelier."""

    def choose(
        self, rows: Picks, count: int, taken: Bools, stream: int
    ) -> Ints:
        """See the base."""
        cloud = self.cloud(rows)
        return k_means_plus_plus(cloud, count, taken, rows.ties, stream)
