"""Which images make up which batch, from keys alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from segal.seeding import key, place_keys


class RoundBatchSampler(Sampler):
    """Batches of a training phase, dealt to the ranks.

    The order of an epoch is a function of (seed, round, epoch). The rules for
    sets that do not divide into batches (a batch here is that of all ranks
    together):

    - A set smaller than one batch is repeated until it fills one.
    - The last batch of an epoch may be smaller, unless ``drop_last``. Every
      rank gets equally many images of it and at least two (batch norm after
      global pooling dies on one); what is missing is taken from the beginning
      of the epoch.

    Args:
        length: Images in the training set.
        batch_size: Images a rank and iteration.
        seed: The experiment's seed.
        round: Round of the training phase.
        rank: This process.
        world_size: All processes.
        drop_last: Leave out the last batch where it is smaller.
        endless: Go on with the next epoch instead of ending, for schedules by
            iteration.
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
        """Iterations an epoch."""
        whole, rest = divmod(self.length, self.batch_size * self.world_size)
        if whole == 0:
            return int(self.length > 0)
        return whole + (rest > 0 and not self.drop_last)

    def start_at(self, iteration: int) -> None:
        """Begin at an iteration of the phase, counted from 0.

        Args:
            iteration: How many iterations the phase has behind it; of an
                epoch that is not endless, those of earlier epochs count.
        """
        self.start = iteration

    def batches(self, epoch: int) -> list[list[tuple[int, int]]]:
        """This rank's batches of one epoch, as (epoch, position) pairs."""
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
            batches.append(
                [
                    (epoch, int(position))
                    for position in filled[self.rank :: self.world_size]
                ]
            )
        return batches

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch, skip = divmod(self.start, max(len(self), 1))
        self.start = (epoch + 1) * len(self)
        yield from self.batches(epoch)[skip:]
        while self.endless:
            epoch += 1
            yield from self.batches(epoch)
