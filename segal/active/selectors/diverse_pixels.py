"""Selectors of pixels that lie apart: per image, and over the pool."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any, ClassVar

import numpy as np

from segal.errors import ConfigError
from segal.seeding import key
from segal.structures import PoolImage, Prediction

from .badge_images import check_dims
from .context import Floats, Ints, QueryContext
from .diversity import Diversity, finite, project, sample_at, spread
from .global_pixels import PixelsGlobal
from .per_image import PixelsPerImage
from .top import More, Picks


class Shortlist:
    """The best ``factor`` x count pixels of a scope, and a way to choose.

    The name of the ``owner`` is for messages. Features are projected to
    ``dims`` dimensions first; None keeps all.

    Raises:
        ConfigError: ``factor`` or ``dims`` is below 1.
    """

    def __init__(
        self,
        context: QueryContext,
        owner: str,
        diversity: Diversity,
        factor: float,
        dims: int | None,
    ) -> None:
        if not factor >= 1:
            raise ConfigError(
                'shortlist: wanted how many times the budget is looked at, 1 '
                f'or more; got {factor}'
            )
        check_dims(dims)
        self.owner = owner
        self.diversity = diversity
        self.factor = factor
        self.dims = dims
        self.seed = context.seed
        self.stream = key(context.seed, context.round, 'k-means++')

    def looked_at(self, count: int) -> int:
        """Count the best pixels that ``count`` are chosen from."""
        return int(self.factor * count)

    def vectors(
        self, prediction: Prediction | None
    ) -> Callable[[Ints], Floats]:
        """Describe an image: int64 (n,) places -> float32 (n, F)."""
        assert prediction is not None
        assert prediction.features is not None
        features = prediction.features.float()  # (F, h, w)
        # whole, so that no pixel depends on others; and only when asked
        projected = cache(lambda: project(features, self.dims, self.seed))

        def at(places: Ints) -> Floats:
            found = sample_at(projected(), places, prediction.size)
            vectors = self.diversity.vectors(
                prediction, places, found.cpu().numpy()
            )
            return finite(vectors, self.owner, prediction.name)

        return at

    def choose(self, left: Picks, taken: Picks, count: int) -> Ints:
        """Choose some picks that lie apart: int64, indices into ``left``."""
        choose = partial(self.diversity.choose, stream=self.stream)
        return spread(left, taken, count, choose)


class DiversePerImage(PixelsPerImage):
    """Gives each image the same share, of pixels whose features lie apart.

    Of an image the best ``shortlist`` x its share are looked at, and of them
    those chosen that lie apart, and apart from all that was asked there in
    earlier rounds. Random picks count as chosen before. A subclass names its
    :attr:`diversity`.

    Memory: 4 F bytes a pixel looked at or asked before, of one image at a
    time, and as much again while they are chosen; 2 MB for 10 of 500 with 512
    features. What is gathered is what is selected.

    Args:
        context: See :class:`~segal.active.selectors.base.BaseSelector`.
        shortlist: So many times the budget are looked at, 1 or more.
        dims: The features are projected to so many dimensions first; None
            keeps all.
        options: See the base.

    Attributes:
        diversity: Chooses the pixels.

    Raises:
        ConfigError: ``shortlist`` or ``dims`` is below 1.
    """

    needs: ClassVar[tuple[str, ...]] = ('features',)
    takes: ClassVar[str] = 'picks that look different'
    diversity: ClassVar[Diversity]

    def __init__(
        self,
        context: QueryContext,
        shortlist: float = 50,
        dims: int | None = None,
        **options: Any,
    ) -> None:
        self._shortlist = Shortlist(
            context, type(self).__name__, self.diversity, shortlist, dims
        )
        super().__init__(context, **options)

    def pick(
        self,
        image: PoolImage,
        places: Ints,
        scores: Floats,
        quota: int,
        taken: Ints,
        prediction: Prediction | None,
    ) -> Ints:
        """Choose among the best of one image; see the base."""
        vectors = self._shortlist.vectors(prediction)
        position = self._position[image.name]

        def rows(at: Ints, scores: Floats) -> Picks:
            columns = dict(vectors=vectors(at)) if len(at) else {}
            return self.picks_of(position, at, scores, **columns)

        top = self.best(
            image, places, scores, self._shortlist.looked_at(quota)
        )
        if len(top) <= quota:  # nothing to choose
            return top
        known = np.flatnonzero(self.asked(image))
        known = np.concatenate([taken, known])
        before = rows(known, np.zeros(len(known), np.float32))
        left = rows(places[top], scores[top])
        return top[self._shortlist.choose(left, before, quota)]


class DiverseGlobal(PixelsGlobal):
    """Spends one budget over the pool, on pixels whose features lie apart.

    The best ``shortlist`` x budget pixels of the whole pool are looked at,
    and of them those chosen that lie apart. Random picks count as chosen
    before; picks of earlier rounds do not. A subclass names its
    :attr:`diversity`.

    Memory: ``shortlist`` x budget x (4 F + 24) bytes are gathered from each
    rank, which holds up to three times as much; rank 0 needs twice the sum.
    Time: ``shortlist`` x budget x budget x 2 F operations on rank 0. So the
    features are projected to 128 dimensions, if not told otherwise.

    Args:
        context: See :class:`~segal.active.selectors.base.BaseSelector`.
        shortlist: See :class:`DiversePerImage`.
        dims: See :class:`DiversePerImage`.

    Attributes:
        diversity: Chooses the pixels.

    Raises:
        ConfigError: ``shortlist`` or ``dims`` is below 1.
    """

    needs: ClassVar[tuple[str, ...]] = ('features',)
    diversity: ClassVar[Diversity]

    def __init__(
        self,
        context: QueryContext,
        shortlist: float = 5,
        dims: int | None = 128,
    ) -> None:
        self._shortlist = Shortlist(
            context, type(self).__name__, self.diversity, shortlist, dims
        )
        super().__init__(context)

    def looked_at(self, count: int) -> int:
        """Count the pixels to choose from; see the base."""
        return self._shortlist.looked_at(count)

    def columns(self, places: Ints, prediction: Prediction | None) -> More:
        """Describe the pixels that are kept by their vectors; see the base."""
        vectors = self._shortlist.vectors(prediction)
        return lambda at: dict(vectors=vectors(places[at]))

    def pick(self, left: Picks, count: int, taken: Picks) -> Ints:
        """Choose pixels of the shortlist that lie apart; see the base."""
        top = left.best(self.looked_at(count))
        return top[self._shortlist.choose(left.take(top), taken, count)]
