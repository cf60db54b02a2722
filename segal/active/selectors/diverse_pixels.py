"""What selectors of pixels that lie apart have in common."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from segal.errors import ConfigError
from segal.seeding import place_keys
from segal.structures import PoolImage, Prediction

from .badge_images import check_dims
from .base import BaseSelector
from .diversity import among, finite, project, sample_at
from .global_pixels import PixelsGlobal
from .per_image import PixelsPerImage
from .top import Picks, best


class Described:
    """What the pixels of one image look like; made only where it is asked.

    Args:
        prediction: With features.
        dims: The features are projected to so many dimensions; None: all.
        seed: Of the projection.
    """

    def __init__(
        self, prediction: Prediction, dims: int | None, seed: int
    ) -> None:
        self.prediction = prediction
        self.dims = dims
        self.seed = seed

    @cached_property
    def _map(self) -> Tensor:
        """float32 (F, h, w); whole, so that no pixel depends on others."""
        features = self.prediction.features
        assert features is not None
        return project(features.float(), self.dims, self.seed)

    def at(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """The features at some pixels: float32 (n, F)."""
        found = sample_at(self._map, places, self.prediction.size)
        return found.cpu().numpy()


class DiversePixels(BaseSelector):
    """Pixels of a shortlist whose features lie apart; a part of a selector.

    Args:
        args: See :class:`~segal.active.selectors.base.BaseSelector`.
        shortlist: So many times the budget are looked at, 1 or more.
        dims: The features are projected to so many dimensions first; None
            keeps all.
        kwargs: See the base.

    Raises:
        ConfigError: ``shortlist`` or ``dims`` is below 1.
    """

    needs: ClassVar[tuple[str, ...]] = ('features',)

    def __init__(
        self,
        *args: Any,
        shortlist: float,
        dims: int | None,
        **kwargs: Any,
    ) -> None:
        if not shortlist >= 1:
            raise ConfigError(
                'shortlist: wanted how many times the budget is looked at, 1 '
                f'or more; got {shortlist}'
            )
        check_dims(dims)
        self.shortlist_factor = shortlist
        self.dims = dims
        super().__init__(*args, **kwargs)

    def _looked_at(self, count: int) -> int:
        """Among how many of the best so many are chosen."""
        return int(self.shortlist_factor * count)

    def _vectors(
        self, seen: Described, places: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """What some pixels of an image look like: float32 (n, F)."""
        name = seen.prediction.name
        return finite(seen.at(places), type(self).__name__, name)

    @abstractmethod
    def _spread(
        self, rows: Picks, count: int, taken: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        """See :data:`~segal.active.selectors.diversity.spread.Spread`."""


class DiversePerImage(DiversePixels, PixelsPerImage):
    """The same share of each image, spread over what its pixels look like.

    Of an image the best ``shortlist`` x its share are looked at, and of them
    those chosen that lie apart, and apart from all that was asked there in
    earlier rounds. Random picks count as chosen before.

    Memory: 4 F bytes a pixel looked at or asked before, of one image at a
    time, and as much again while they are chosen; 2 MB for 10 of 500 with 512
    features. What is gathered is what is selected.
    """

    def __init__(
        self,
        *args: Any,
        shortlist: float = 50,
        dims: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, shortlist=shortlist, dims=dims, **kwargs)
        self._refuse_top_percent('picks that look different')

    def _by_score(
        self,
        image: PoolImage,
        places: NDArray[np.int64],
        scores: NDArray[np.float32],
        quota: int,
        taken: NDArray[np.int64],
        prediction: Prediction | None,
    ) -> NDArray[np.int64]:
        assert prediction is not None
        tie = self._stream('tie', image.name)
        seen = Described(prediction, self.dims, self.seed)

        def rows(at: NDArray[np.int64], scores: NDArray[np.float32]) -> Picks:
            here = np.zeros(len(at), np.int32)
            vectors = self._vectors(seen, at) if len(at) else None
            return Picks(here, at, scores, place_keys(tie, at), vectors)

        top = best(
            scores,
            lambda at: place_keys(tie, places[at]),
            self._looked_at(quota),
        )
        if len(top) <= quota:  # nothing to choose
            return top
        known = np.flatnonzero(self.asked(image))
        known = np.concatenate([taken, known])
        return top[
            among(
                rows(places[top], scores[top]),
                rows(known, np.zeros(len(known), np.float32)),
                quota,
                self._spread,
            )
        ]


class DiverseGlobal(DiversePixels, PixelsGlobal):
    """One budget over the pool, spread over what its pixels look like.

    The best ``shortlist`` x budget pixels of the whole pool are looked at,
    and of them those chosen that lie apart. Random picks count as chosen
    before; picks of earlier rounds do not.

    Memory: ``shortlist`` x budget x (4 F + 24) bytes are gathered from each
    rank, which holds up to three times as much; rank 0 needs twice the sum.
    Time: ``shortlist`` x budget x budget x 2 F operations on rank 0. So the
    features are projected to 128 dimensions, if not told otherwise.
    """

    def __init__(
        self,
        *args: Any,
        shortlist: float = 5,
        dims: int | None = 128,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, shortlist=shortlist, dims=dims, **kwargs)

    def shortlist(
        self,
        image: PoolImage,
        score: NDArray[np.float32],
        available: NDArray[np.bool_],
        prediction: Prediction | None = None,
    ) -> None:
        """Keep what can be among the best, and what it looks like."""
        assert prediction is not None
        position, places, scores = self._enter(image, score, available)
        seen = Described(prediction, self.dims, self.seed)

        def vectors(index: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
            return dict(vectors=self._vectors(seen, places[index]))

        self._offer(position, places, scores, vectors)

    def _by_score(
        self, left: Picks, count: int, taken: Picks
    ) -> NDArray[np.int64]:
        top = best(left.scores, left.ties.__getitem__, self._looked_at(count))
        return top[among(left.take(top), taken, count, self._spread)]
