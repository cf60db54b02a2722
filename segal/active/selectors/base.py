from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from segal.errors import ConfigError
from segal.seeding import key, place_keys
from segal.structures import (
    WHOLE_IMAGE,
    Candidates,
    PoolImage,
    Prediction,
    Selection,
    Unit,
)

from .context import Bools, Floats, Ints, Keys, QueryContext
from .quotas import drawn_share
from .top import Picks


class BaseSelector(ABC):
    """Spends the budget of one round; one object for each rank and round.

    A subclass writes three methods, which are called in this order:

    1. :meth:`shortlist`, on every rank, once for each image of that rank, in
       any order. It keeps what may be selected.
    2. :meth:`candidates`, once on every rank. It returns what was kept.
    3. :meth:`choose`, on rank 0 alone, with the candidates of all ranks.

    The selection must depend neither on the order of images nor on the rank
    that an image was dealt to. Two rules are enough: put equal scores in the
    order of their :meth:`ties`, and take every random number from
    :meth:`draws`. Both are functions of (seed, round, image, place) alone.

    Helpers for subclasses are :meth:`enter`, :meth:`picks_of`, :meth:`pack`,
    :meth:`unpack` and :meth:`selection`. Ready bases are
    :class:`~segal.active.selectors.per_image.PixelsPerImage` (write ``pick``)
    and :class:`~segal.active.selectors.over_pool.BestOverPool` (write
    ``shortlist``).

    Args:
        context: What is known of the round. Options of a subclass follow as
            named arguments; a config sets them beside ``type``.

    Attributes:
        unit: What is asked: ``'pixel'``, ``'region'`` or ``'image'``.
        needs: What :meth:`shortlist` reads of a prediction, as in
            ``BaseHeuristic.needs``; nothing for most.
        evenly: True where every image gets the same share of the budget,
            False where the budget goes anywhere in the pool, None otherwise.
        reads_all: Whether images without a free place are shortlisted, too,
            with nothing available.
        images: See :class:`~segal.active.selectors.context.QueryContext`, as
            for all that follow.
        free: int64 (P,).
        budget: Of the round.
        round: Number of the label file.
        seed: Of the experiment.
        shuffle_prop: Share of random picks. They are drawn first, then the
            best of the rest. Over the whole pool, halves of a pick are
            rounded up; in an image, a keyed draw rounds up or down.
        opened: bool (P,).
        asked: Image -> bool (H, W).
        available: Image -> bool (H, W).

    Raises:
        ConfigError: ``shuffle_prop`` or ``budget`` has no meaning.
    """

    unit: ClassVar[Unit]
    needs: ClassVar[tuple[str, ...]] = ()
    reads_all: ClassVar[bool] = False
    evenly: ClassVar[bool | None] = None

    def __init__(self, context: QueryContext) -> None:
        budget, shuffle_prop = context.budget, context.shuffle_prop
        if not 0 <= shuffle_prop <= 1:
            raise ConfigError(
                f'shuffle_prop: wanted a share in [0, 1], got {shuffle_prop}'
            )
        if budget is None:
            raise RuntimeError('wanted a context with a budget, got none')
        if budget.amount < 0:
            raise ConfigError(
                f'budget: wanted 0 or more {self.unit}s, got {budget.amount}'
            )
        if len(context.free) != len(context.images):
            raise RuntimeError(
                f'free counts {len(context.free)} images, the pool has '
                f'{len(context.images)}'
            )
        self.images = context.images
        self.free = np.asarray(context.free, np.int64)
        self.budget = budget
        self.round = context.round
        self.seed = context.seed
        self.shuffle_prop = shuffle_prop
        nothing = np.zeros(len(self.images), bool)
        self.opened = nothing if context.opened is None else context.opened
        self.asked = context.asked
        self.available = context.available
        self._position = {x.name: i for i, x in enumerate(self.images)}
        self._seen = np.zeros(len(self.images), bool)

    @abstractmethod
    def shortlist(
        self,
        image: PoolImage,
        score: Floats,
        available: Bools,
        prediction: Prediction | None = None,
    ) -> None:
        """Keep what may be selected of one image.

        Args:
            image: Of the pool; each at most once, over all ranks.
            score: float32 (H, W), finite, higher = label first.
            available: bool (H, W), True where the place may be asked.
            prediction: Of the image, with all of :attr:`needs`; None only
                where nothing is needed.
        """

    @abstractmethod
    def candidates(self) -> Candidates:
        """Return what this rank has kept.

        Its size is bounded by the budget, not by the pool.
        """

    @abstractmethod
    def choose(self, shards: Sequence[Candidates]) -> Selection:
        """Spend the budget.

        Args:
            shards: The candidates of all ranks, in any order.

        Returns:
            Exactly the budget, or all that is free; images in pool order.

        Raises:
            RuntimeError: The shards hold a place twice, or too few places.
        """

    def total(self) -> int:
        """Count what the budget allows, as if the whole pool were free."""
        times = len(self.images) if self.budget.per_image else 1
        return self.budget.amount * times

    def spent(self, selection: Selection) -> int:
        """Count how much of :meth:`total` a selection takes."""
        return len(selection)

    def stream(self, purpose: str, *name: str) -> int:
        """Return the key of the draws for a purpose such as ``'shuffle'``.

        ``name`` is that of an image, for draws of its places.
        """
        return key(self.seed, self.round, purpose, *name)

    def share_by_chance(self, image: PoolImage, quota: int) -> int:
        """Count the random picks among those of one image."""
        stream = self.stream('share by chance', image.name)
        return drawn_share(quota, self.shuffle_prop, stream)

    def draws(self, purpose: str, name: str, places: Ints) -> Keys:
        """Draw a uniform uint64 for each of n places, the same on any rank."""
        return place_keys(self.stream(purpose, name), places)

    def ties(self, name: str, places: Ints) -> Keys:
        """Return the tie keys, uint64 (n,): of equal scores the lowest wins.

        The ``places``, int64 (n,), are flat indices or numbers of regions.
        """
        return self.draws('tie', name, places)

    def enter(
        self, image: PoolImage, score: Floats, available: Bools
    ) -> tuple[int, Ints, Floats]:
        """Check what :meth:`shortlist` was given, and flatten it.

        Returns the image's position in the pool, its A available places, int64
        (A,), ascending flat indices, and their scores, float32 (A,).

        Raises:
            RuntimeError: The image is unknown, comes twice, is of another
                size, or has another number of available places than ``free``.
        """
        position = self._position.get(image.name)
        if position is None:
            raise RuntimeError(f'{image.name!r} is not in the pool')
        if self._seen[position]:
            raise RuntimeError(f'{image.name!r} was shortlisted twice')
        size = tuple(self.images[position].size)
        if score.shape != size or available.shape != size:
            raise RuntimeError(
                f'{image.name!r}: wanted score and available {size}, got '
                f'{score.shape} and {available.shape}'
            )
        places = np.flatnonzero(available)
        if len(places) != self.free[position]:
            raise RuntimeError(
                f'{image.name!r}: {len(places)} places are available, '
                f'but {self.free[position]} were said to be free'
            )
        self._seen[position] = True
        scores = score.reshape(-1)
        if len(places) < len(scores):
            scores = scores[places]
        return position, places, scores.astype(np.float32, copy=False)

    def picks_of(
        self, position: int, places: Ints, scores: Floats, **columns: NDArray
    ) -> Picks:
        """Put n places of one image into a table, with their tie keys.

        The ``columns`` are further ones of
        :class:`~segal.active.selectors.top.Picks`, n rows each.
        """
        image = np.full(len(places), position, np.int32)
        ties = self.ties(self.images[position].name, places)
        return Picks(image, places, scores, ties, **columns)

    def pack(self, picks: Picks) -> Candidates:
        """Turn this rank's picks, best first, into candidates with names."""
        occurring, image = np.unique(picks.image, return_inverse=True)
        names = [self.images[i].name for i in occurring]
        return Candidates(names, image.astype(np.int32), *picks[1:])

    def unpack(self, shards: Sequence[Candidates]) -> Picks:
        """Join the candidates of all ranks, by image and best first.

        Raises:
            RuntimeError: A place occurs twice, or an image is not of the pool.
        """
        picks = Picks.join(
            [
                Picks(
                    self._positions(shard),
                    *(getattr(shard, column) for column in Picks._fields[1:]),
                )
                for shard in shards
            ]
        )
        order = np.lexsort((picks.places, picks.image))
        image, places = picks.image[order], picks.places[order]
        twice = np.flatnonzero(
            (image[1:] == image[:-1]) & (places[1:] == places[:-1])
        )
        if len(twice):
            name = self.images[image[twice[0]]].name
            raise RuntimeError(
                f'{name!r}: place {places[twice[0]]} would be selected twice'
            )
        return picks.sort()

    def _positions(self, shard: Candidates) -> NDArray[np.int32]:
        """Find the image of each candidate in the pool: int32 (N,)."""
        unknown = [x for x in shard.names if x not in self._position]
        if unknown:
            raise RuntimeError(f'{unknown[0]!r} is not in the pool')
        positions = [self._position[name] for name in shard.names]
        return np.array(positions, np.int32)[shard.image]

    def selection(self, picks: Picks, wanted: int) -> Selection:
        """Turn the chosen picks, in any order, into a selection.

        Raises:
            RuntimeError: There are not ``wanted`` of them.
        """
        if len(picks.places) != wanted:
            raise RuntimeError(
                f'round {self.round}: wanted {wanted} {self.unit}s, but the '
                f'candidates of all ranks gave {len(picks.places)}; was every '
                'image shortlisted on one rank?'
            )
        picks = picks.take(np.lexsort((picks.places, picks.image)))
        occurring, starts = np.unique(picks.image, return_index=True)
        selection = Selection(self.round, self.unit, {})
        for i, places, scores in zip(
            occurring,
            np.split(picks.places, starts[1:]),
            np.split(picks.scores, starts[1:]),
            strict=False,
        ):
            name = self.images[i].name
            selection.places[name] = places[places != WHOLE_IMAGE]
            selection.scores[name] = scores
        return selection


class SelectorFactory(Protocol):
    """Builds the selector of one round."""

    def __call__(self, context: QueryContext) -> BaseSelector:
        """Build a selector; a budget in the context is kept.

        Without one, the factory fills in the budget of the config.
        """
