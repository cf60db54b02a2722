from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from segal.errors import ConfigError
from segal.seeding import key
from segal.structures import (
    WHOLE_IMAGE,
    Budget,
    Candidates,
    PoolImage,
    Prediction,
    Selection,
    Unit,
)

from .top import Picks

Mask = Callable[[PoolImage], NDArray[np.bool_]]
"""An image of the pool -> bool (H, W), a new array."""


class BaseSelector(ABC):
    """Spends the budget of one round; lives on one rank for that round.

    Each rank calls :meth:`shortlist` once for each of its images, in any
    order, and hands on its :meth:`candidates`; rank 0 calls :meth:`choose`
    with those of all ranks. The order is everywhere: score descending, then
    tie key ascending, where the tie key of a place is a function of (seed,
    round, name, place) alone. So the selection depends neither on the order
    of images nor on how they were dealt to ranks.

    Args:
        images: The whole pool, the same on every rank.
        free: int64 (P,), the exact number of places that may still be asked
            in each image: not yet asked, and askable by the oracle.
        budget: What the round may ask; what is free where that is less.
        round: The label file that the answers will go to.
        seed: The experiment's seed.
        shuffle_prop: Share of the selection that is replaced by random picks,
            in [0, 1]; halves of a pick are rounded up. The random picks are
            drawn first, then the best of the rest.
        opened: bool (P,), the images of which something was asked before;
            None where nothing was.
        asked: Where something was asked before; None where nothing was.
        available: What may be asked; None where that is everything.

    Attributes:
        unit: What is asked: ``'pixel'``, ``'region'`` or ``'image'``.
        needs: What :meth:`shortlist` reads of a prediction, as in
            ``BaseHeuristic.needs``; nothing for most.
        evenly: Whether every image gets the same share; None where neither
            that, nor a budget spent anywhere in the pool, is what it does.
        reads_all: Whether images without a free place are shortlisted, too,
            with nothing available.

    Raises:
        ConfigError: ``shuffle_prop`` or ``budget`` has no meaning.
    """

    unit: ClassVar[Unit]
    needs: ClassVar[tuple[str, ...]] = ()
    reads_all: ClassVar[bool] = False
    evenly: ClassVar[bool | None] = None

    def __init__(
        self,
        images: Sequence[PoolImage],
        free: NDArray[np.int64],
        budget: Budget,
        round: int,
        seed: int,
        shuffle_prop: float = 0.0,
        opened: NDArray[np.bool_] | None = None,
        asked: Mask | None = None,
        available: Mask | None = None,
    ) -> None:
        if not 0 <= shuffle_prop <= 1:
            raise ConfigError(
                f'shuffle_prop: wanted a share in [0, 1], got {shuffle_prop}'
            )
        if budget.amount < 0:
            raise ConfigError(
                f'budget: wanted 0 or more {self.unit}s, got {budget.amount}'
            )
        if len(free) != len(images):
            raise RuntimeError(
                f'free counts {len(free)} images, the pool has {len(images)}'
            )
        self.images = images
        self.free = np.asarray(free, np.int64)
        self.budget = budget
        self.round = round
        self.seed = seed
        self.shuffle_prop = shuffle_prop
        nothing = np.zeros(len(images), bool)
        self.opened = nothing if opened is None else opened
        self.asked = asked or (lambda image: np.zeros(image.size, bool))
        self.available = available or (lambda image: np.ones(image.size, bool))
        self._position = {image.name: i for i, image in enumerate(images)}
        self._seen = np.zeros(len(images), bool)

    @abstractmethod
    def shortlist(
        self,
        image: PoolImage,
        score: NDArray[np.float32],
        available: NDArray[np.bool_],
        prediction: Prediction | None = None,
    ) -> None:
        """Take in one image.

        Args:
            image: Of the pool; each at most once, over all ranks.
            score: float32 (H, W), finite, higher = label first.
            available: bool (H, W), True where the place may be asked.
            prediction: Of the image, with all of :attr:`needs`; None only
                where nothing is needed.
        """

    @abstractmethod
    def candidates(self) -> Candidates:
        """What rank 0 must know; bounded by the budget, not by the pool."""

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
        """How much the whole pool may be asked, were it all free."""
        times = len(self.images) if self.budget.per_image else 1
        return self.budget.amount * times

    def spent(self, selection: Selection) -> int:
        """How much of :meth:`total` a selection takes."""
        return len(selection)

    def _stream(self, purpose: str, name: str) -> int:
        """The key of one image's draws for one use."""
        return key(self.seed, self.round, purpose, name)

    def _enter(
        self,
        image: PoolImage,
        score: NDArray[np.float32],
        available: NDArray[np.bool_],
    ) -> tuple[int, NDArray[np.int64], NDArray[np.float32]]:
        """Check what :meth:`shortlist` was given, and flatten it.

        Returns:
            The image's position; its available places int64 (A,), ascending;
            their scores float32 (A,).
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

    def _pack(self, picks: Picks) -> Candidates:
        """Sorted picks, with names instead of positions."""
        occurring, image = np.unique(picks.image, return_inverse=True)
        return Candidates(
            names=[self.images[i].name for i in occurring],
            image=image.astype(np.int32),
            places=picks.places,
            scores=picks.scores,
            ties=picks.ties,
            vectors=picks.vectors,
            classes=picks.classes,
        )

    def _unpack(self, shards: Sequence[Candidates]) -> Picks:
        """The picks of all shards, by image and best first.

        Raises:
            RuntimeError: A place occurs twice, or an image is not of the
                pool.
        """
        parts = [
            Picks(
                self._positions(shard),
                shard.places,
                shard.scores,
                shard.ties,
                shard.vectors,
                shard.classes,
            )
            for shard in shards
        ]
        picks = Picks.join(parts)
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
        """Where in the pool the image of each candidate is, int32 (N,).

        Raises:
            RuntimeError: An image is not there.
        """
        unknown = [x for x in shard.names if x not in self._position]
        if unknown:
            raise RuntimeError(f'{unknown[0]!r} is not in the pool')
        positions = [self._position[name] for name in shard.names]
        return np.array(positions, np.int32)[shard.image]

    def _selection(self, picks: Picks, wanted: int) -> Selection:
        """The picks as a selection.

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
