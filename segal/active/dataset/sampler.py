"""Draw the batches of a training phase by keyed draws."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
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
