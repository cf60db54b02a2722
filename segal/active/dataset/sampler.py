"""Draw the batches of a training phase by keyed draws, sources among them."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from segal.seeding import key, place_keys


class RoundBatchSampler(Sampler):
    """Batches of a training phase, shared among the ranks.

    The order of an epoch depends only on (seed, round, epoch). If the set
    does not divide into batches (of all ranks together):

    - A set smaller than one batch is repeated until it fills one.
    - The last batch of an epoch may be smaller, unless ``drop_last``. Every
      rank gets equally many images of it, at least two (batch norm after
      global pooling fails on one); the first images of the epoch fill it up.

    Args:
        length: Images in the training set.
        batch_size: Images a rank and iteration.
        seed: The experiment's seed.
        round: Round of the training phase.
        rank: This process.
        world_size: All processes.
        drop_last: Leave out a smaller last batch.
        endless: Continue with the next epoch instead of ending, for schedules
            by iteration.
    """

    def __init__(
        self,
        length: int,
        batch_size: int,
        seed: int,
        round: int,
        rank: int = 0,
        world_size: int = 1,
        drop_last: bool = False,
        endless: bool = False,
    ) -> None:
        self.length = length
        self.batch_size = batch_size
        self.rank, self.world_size = rank, world_size
        self.drop_last = drop_last
        self.endless = endless
        self.start = 0
        self._stream = (seed, round)

    def __len__(self) -> int:
        """Count the iterations of an epoch."""
        whole, rest = divmod(self.length, self.batch_size * self.world_size)
        if whole == 0:
            return int(self.length > 0)
        return whole + (rest > 0 and not self.drop_last)

    def start_at(self, iteration: int) -> None:
        """Skip the finished iterations of the phase, earlier epochs too."""
        self.start = iteration

    def batches(self, epoch: int) -> list[list[tuple[int, int]]]:
        """Return this rank's batches of an epoch, as (epoch, position)."""
        keys = place_keys(
            key(*self._stream, epoch, 'order'), np.arange(self.length)
        )
        order = np.argsort(keys, kind='stable')
        together = self.batch_size * self.world_size
        least = min(2, self.batch_size) * self.world_size
        batches = []
        for i in range(len(self)):
            batch = order[i * together : (i + 1) * together]
            wanted = together
            if self.length > together:
                ranks = -(-len(batch) // self.world_size) * self.world_size
                wanted = max(ranks, least)
            filled = np.concatenate(
                [batch, np.resize(order, max(wanted - len(batch), 0))]
            )
            mine = filled[self.rank :: self.world_size].tolist()
            batches.append([(epoch, position) for position in mine])
        return batches

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch, skip = divmod(self.start, max(len(self), 1))
        self.start = (epoch + 1) * len(self)
        yield from self.batches(epoch)[skip:]
        while self.endless:
            epoch += 1
            yield from self.batches(epoch)


class MixedBatchSampler(Sampler):
    """Batches with fixed numbers of pool and source images, for each rank.

    Pool and sources are each repeated, in an order that depends only on
    (seed, round, pass). A batch takes the next images of both, so every batch
    is full and has the same number of source images. The rules:

    - An epoch is one pass over the labelled images of the pool; if there are
      none yet, over the sources.
    - If no image of the pool is labelled, a batch has only its share of
      source images, at least two (batch norm after global pooling fails on
      one).
    - The batches of all ranks together are the batch that one rank would
      draw with the total batch size.

    The other arguments are those of :class:`RoundBatchSampler`.

    Args:
        pool: Labelled images of the pool, the first of the training set.
        sources: Images of all labelled sources, which follow them.
        batch_size: Images a rank and iteration.
        per_batch: Source images among them.
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
        """Count the iterations of an epoch."""
        together = self._shares[self._leading] * self.world_size
        return math.ceil(self._streams[self._leading].length / together)

    def start_at(self, iteration: int) -> None:
        """Skip the finished iterations of the phase."""
        self.start = iteration

    def batch(self, iteration: int) -> list[tuple[int, int]]:
        """Return this rank's batch as (pass, position) pairs, pool first."""
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
    """The positions of one domain, repeated in a new order for each pass."""

    def __init__(self, stream: int, first: int, length: int) -> None:
        self.first, self.length = first, length
        self._stream = stream
        self._order: tuple[int, NDArray[np.int64]] | None = None

    def at(self, place: int) -> tuple[int, int]:
        """Return the pass and the position at a place of the stream."""
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
    """Build the sampler of a training phase.

    ``pool`` and ``sources`` count images. Of the ``batch_size`` images of a
    rank and iteration, ``per_batch`` are of sources; None: the sources are
    shuffled with the pool. An ``endless`` sampler goes on with the next epoch.
    For ``drop_last`` see :class:`RoundBatchSampler`; mixed batches are all
    full.
    """
    keys = (seed, round, rank, world_size)
    if per_batch is not None and sources:
        return MixedBatchSampler(
            pool, sources, batch_size, per_batch, *keys, endless
        )
    return RoundBatchSampler(
        pool + sources, batch_size, *keys, drop_last, endless
    )
