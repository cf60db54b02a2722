from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from segal.errors import ConfigError
from segal.seeding import key
from segal.structures import (
    WHOLE_IMAGE,
    Candidates,
    PoolImage,
    Prediction,
    Selection,
)

from .context import Bools, Floats, Ints, QueryContext
from .diversity import Diversity, finite, spread
from .top import Picks
from .whole_images import WholeImages


class DiverseImages(WholeImages):
    """Asks for whole images that lie apart, and apart from labelled ones.

    A subclass names its :attr:`diversity`, or writes :meth:`spread`. One
    vector is kept of each image, also of those that are labelled already:
    they are read again each round, since the network has changed.
    ``shuffle_prop``'s random picks count as labelled.

    Memory: 4 F bytes an image of the pool, over all ranks and then on rank 0,
    and there as much again; with ``shortlist`` a rank holds at most three
    times ``shortlist`` x budget of those that are not labelled.

    Args:
        context: See :class:`~segal.active.selectors.base.BaseSelector`.
        shortlist: Among how many images one is chosen: so many times the
            budget with the highest scores are looked at, 1 or more; None:
            all, and scores decide between equals alone.
        options: See
            :class:`~segal.active.selectors.whole_images.WholeImages`.

    Attributes:
        diversity: Chooses the images.

    Raises:
        ConfigError: ``shortlist`` is below 1.
    """

    needs: ClassVar[tuple[str, ...]] = ('embedding',)
    reads_all: ClassVar[bool] = True
    diversity: ClassVar[Diversity]

    def __init__(
        self,
        context: QueryContext,
        shortlist: float | None = None,
        **options: Any,
    ) -> None:
        if shortlist is not None and not shortlist >= 1:
            raise ConfigError(
                'shortlist: wanted how many times the budget is looked at, 1 '
                f'or more, or None for all images; got {shortlist}'
            )
        self.shortlist_factor = shortlist
        super().__init__(context, **options)
        self.labelled = self.opened & (self.free == 0)
        self._labelled: list[Picks] = []

    def looked_at(self, count: int) -> int:
        """Count the images to choose from; see the base."""
        images = len(self.images)
        if self.shortlist_factor is None:
            return images
        return min(images, int(self.shortlist_factor * count))

    def shortlist(
        self,
        image: PoolImage,
        score: Floats,
        available: Bools,
        prediction: Prediction | None = None,
    ) -> None:
        """Keep the image's score and vector; see the base."""
        assert prediction is not None
        position, places, scores = self.enter(image, score, available)
        place = np.array([WHOLE_IMAGE])

        def vector(index: Ints) -> dict[str, NDArray[Any]]:
            return dict(vectors=self.vector(prediction)[None][index])

        if len(places):
            self.offer(position, place, self.aggregated(scores), vector)
        elif self.labelled[position]:
            self._labelled.append(
                self.picks_of(
                    position,
                    place,
                    np.zeros(1, np.float32),
                    **vector(np.zeros(1, np.int64)),
                )
            )

    def candidates(self) -> Candidates:
        """Return this rank's best, lowest draws, and labelled images."""
        ours = Picks.join([self.kept(), *self._labelled])
        return self.pack(ours.sort())

    def choose(self, shards: Sequence[Candidates]) -> Selection:
        """Choose the random picks, then those that lie apart."""
        picks = self.unpack(shards)
        labelled = self.labelled[picks.image]
        return self.spend(picks.take(~labelled), picks.take(labelled))

    def pick(self, left: Picks, count: int, taken: Picks) -> Ints:
        """Choose images of the shortlist that lie apart; see the base."""
        top = left.best(self.looked_at(count))
        return top[spread(left.take(top), taken, count, self.spread)]

    def vector(self, prediction: Prediction) -> Floats:
        """Describe an image: float32 (F,)."""
        assert prediction.embedding is not None
        vector = prediction.embedding.float().cpu().numpy()  # (F,)
        return finite(vector, type(self).__name__, prediction.name)

    def spread(self, rows: Picks, count: int, taken: Bools) -> Ints:
        """Choose rows; see ``Diversity.choose``."""
        stream = key(self.seed, self.round, 'k-means++')
        return self.diversity.choose(rows, count, taken, stream)
