"""Batches with a fixed share of labelled sources, from keys alone."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from segal.active.dataset.sampler import RoundBatchSampler
from segal.seeding import key, place_keys


class MixedBatchSampler(Sampler):
    """Batches of pool and sources, so many of each, dealt to the ranks.

    Pool and sources are each gone through again and again, in an order that
    is a function of (seed, round, pass); a batch takes the next few of both.
    So every batch is full, and the same number of images comes from the
    sources however many there are. The rules:

    - An epoch is one pass over the labelled images of the pool; where there
      are none yet, over the sources.
    - Where no image of the pool is labelled, a batch is its share of sources
      alone, at least two images (batch norm after global pooling dies on
      one).
    - All ranks' batches together are those that one rank would draw with a
      batch as large.

    Args:
        pool: Labelled images of the pool, which come first in the training
            set.
        sources: Images of all labelled sources, behind them.
        batch_size: Images a rank and iteration.
        per_batch: Of these, from the sources.
        seed: The experiment's seed.
        round: Round of the training phase.
        rank: This process.
        world_size: All processes.
        endless: Go on with the next epoch instead of ending, for schedules by
            iteration.
    """

    def __init__(
        self,
        pool: int,
        sources: int,
        batch_size: int,
        per_batch: int,
        seed: int,
        round: int,
        rank: int = 0,
        world_size: int = 1,
        endless: bool = False,
    ) -> None:
        assert sources > 0
        assert 0 < per_batch < batch_size
        self.rank, self.world_size = rank, world_size
        self.endless = endless
        self.start = 0
        self._streams = [
            _Stream(key(seed, round, 'pool'), 0, pool),
            _Stream(key(seed, round, 'sources'), pool, sources),
        ]
        self._shares = [batch_size - per_batch, per_batch]
        if not pool:
            self._shares = [0, max(per_batch, 2)]
        self._leading = 0 if pool else 1

    def __len__(self) -> int:
        """Iterations an epoch."""
        together = self._shares[self._leading] * self.world_size
        return math.ceil(self._streams[self._leading].length / together)

    def start_at(self, iteration: int) -> None:
        """Begin at an iteration of the phase, counted from 0.

        Args:
            iteration: How many iterations the phase has behind it.
        """
        self.start = iteration

    def batch(self, iteration: int) -> list[tuple[int, int]]:
        """This rank's batch of an iteration of the phase.

        Returns:
            (pass, position) pairs, those of the pool first.
        """
        pairs = []
        for stream, share in zip(self._streams, self._shares, strict=True):
            together = share * self.world_size
            first = iteration * together + self.rank
            pairs += [
                stream.at(first + i * self.world_size) for i in range(share)
            ]
        return pairs

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        iteration = self.start
        end = self.start = (iteration // len(self) + 1) * len(self)
        while self.endless or iteration < end:
            yield self.batch(iteration)
            iteration += 1


class _Stream:
    """Positions of one domain, gone through again and again.

    Args:
        stream: Key of the order.
        first: Position of its first image in the training set.
        length: Its images.
    """

    def __init__(self, stream: int, first: int, length: int) -> None:
        self.first, self.length = first, length
        self._stream = stream
        self._order: tuple[int, NDArray[np.int64]] | None = None

    def at(self, place: int) -> tuple[int, int]:
        """The pass and the position at a place of the stream."""
        number, offset = divmod(place, self.length)
        if self._order is None or self._order[0] != number:
            keys = place_keys(
                key(self._stream, number), np.arange(self.length)
            )
            self._order = number, np.argsort(keys, kind='stable')
        return number, self.first + int(self._order[1][offset])


BatchSampler = RoundBatchSampler | MixedBatchSampler


def batch_sampler(
    pool: int,
    sources: int,
    batch_size: int,
    per_batch: int | None,
    seed: int,
    round: int,
    rank: int = 0,
    world_size: int = 1,
    drop_last: bool = False,
    endless: bool = False,
) -> BatchSampler:
    """What makes the batches of a training phase.

    Args:
        pool: Labelled images of the pool.
        sources: Images of all labelled sources.
        batch_size: Images a rank and iteration.
        per_batch: Of these, from the sources; None: they are shuffled in
            with the pool.
        seed: The experiment's seed.
        round: Round of the training phase.
        rank: This process.
        world_size: All processes.
        drop_last: Leave out the last batch where it is smaller; without a
            meaning where all are full.
        endless: Go on with the next epoch instead of ending.
    """
    if per_batch is not None and sources:
        return MixedBatchSampler(
            pool,
            sources,
            batch_size,
            per_batch,
            seed,
            round,
            rank,
            world_size,
            endless,
        )
    return RoundBatchSampler(
        pool + sources,
        batch_size,
        seed,
        round,
        rank,
        world_size,
        drop_last,
        endless,
    )
