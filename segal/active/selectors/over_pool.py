from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segal.seeding import place_keys, uniform
from segal.structures import Candidates, Selection

from .base import BaseSelector
from .quotas import rounded_share
from .top import More, Picks, RunningTop, best, lowest


class BestOverPool(BaseSelector):
    """The best of the whole pool; what they are is the subclass's to say.

    Each rank keeps a running top of the budget's size, and a second one of
    the lowest keyed draws where ``shuffle_prop`` asks for random picks. What
    is best, or drawn lowest, in the whole pool is so on its own rank too, and
    therefore among the candidates.

    Args:
        args: See :class:`~segal.active.selectors.base.BaseSelector`.
        kwargs: See the base.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.amount = self._spendable()
        self.randoms = rounded_share(self.amount, self.shuffle_prop)
        # up to `randoms` of the best may turn out to be random picks
        wanted = self.amount - self.randoms
        best_wanted = self._looked_at(wanted) + self.randoms if wanted else 0
        self._best = self._top(best_wanted)
        self._drawn = RunningTop(self.randoms)

    @abstractmethod
    def _spendable(self) -> int:
        """The budget, or all that is free."""

    def _looked_at(self, count: int) -> int:
        """Among how many of the best so many are chosen; no less."""
        return count

    def _top(self, capacity: int) -> RunningTop:
        """What keeps the best."""
        return RunningTop(capacity)

    def _offer(
        self,
        position: int,
        places: NDArray[np.int64],
        scores: NDArray[np.float32],
        more: More | None = None,
    ) -> None:
        """Take in some places of one image.

        Args:
            position: Of the image in the pool.
            places: int64 (n,), each once.
            scores: float32 (n,).
            more: Further columns of those that are kept.
        """
        name = self.images[position].name
        tie = self._stream('tie', name)

        def ties(index: NDArray[np.int64]) -> NDArray[np.uint64]:
            return place_keys(tie, places[index])

        if self._best.capacity:
            self._best.add(position, places, scores, ties, scores, more)
        if self._drawn.capacity:
            draws = place_keys(self._stream('shuffle', name), places)
            self._drawn.add(
                position,
                places,
                -uniform(draws),
                draws.__getitem__,
                scores,
                more,
            )

    def candidates(self) -> Candidates:
        """This rank's best and its lowest draws, each place once."""
        return self._pack(self._kept())

    def _kept(self) -> Picks:
        """The same, by image and best first."""
        chance = self._drawn.picks()
        for i in np.unique(chance.image):
            mine = chance.image == i
            tie = self._stream('tie', self.images[i].name)
            chance.ties[mine] = place_keys(tie, chance.places[mine])
        picks = Picks.join([self._best.picks(), chance]).sort()
        again = np.zeros(len(picks.places), bool)
        again[1:] = (picks.image[1:] == picks.image[:-1]) & (
            picks.places[1:] == picks.places[:-1]
        )
        return picks.take(~again)

    def choose(self, shards: Sequence[Candidates]) -> Selection:
        """The random picks, then the best of the rest; see the base."""
        return self._spend(self._unpack(shards), Picks.join([]))

    def _spend(self, picks: Picks, known: Picks) -> Selection:
        """Choose.

        Args:
            picks: Candidates of all ranks.
            known: What was labelled before, for those that look at it.
        """
        chosen = np.zeros(len(picks.places), bool)
        if self.randoms:
            chosen[lowest(self._draws(picks), self.randoms)] = True
        left = np.flatnonzero(~chosen)
        at = self._by_score(
            picks.take(left),
            self.amount - int(chosen.sum()),
            Picks.join([picks.take(chosen), known]),
        )
        chosen[left[at]] = True
        return self._selection(picks.take(chosen), self.amount)

    def _by_score(
        self, left: Picks, count: int, taken: Picks
    ) -> NDArray[np.int64]:
        """Which candidates are picked for their scores.

        Args:
            left: Those that were not picked by chance.
            count: How many are wanted.
            taken: Those that were, and what is known beside them.

        Returns:
            int64 (min(count, N),), indices into ``left``.
        """
        return best(left.scores, left.ties.__getitem__, count)

    def _draws(self, picks: Picks) -> NDArray[np.uint64]:
        """The keyed draws of picks sorted by image, uint64 (N,)."""
        occurring, starts = np.unique(picks.image, return_index=True)
        parts = [np.empty(0, np.uint64)]
        for i, places in zip(
            occurring, np.split(picks.places, starts[1:]), strict=False
        ):
            stream = self._stream('shuffle', self.images[i].name)
            parts.append(place_keys(stream, places))
        return np.concatenate(parts)
