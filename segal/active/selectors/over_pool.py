from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from segal.seeding import uniform
from segal.structures import Candidates, PoolImage, Prediction, Selection

from .base import BaseSelector
from .context import Bools, Floats, Ints, Keys, QueryContext
from .quotas import rounded_share
from .top import More, Picks, RunningTop, lowest


class BestOverPool(BaseSelector):
    """Spends one budget where the scores of the whole pool are highest.

    It offers the available pixels of each image. A subclass that asks other
    places writes :meth:`shortlist`, which hands them and their scores to
    :meth:`offer`. It may also write :meth:`columns`, :meth:`spendable`,
    :meth:`looked_at`, :meth:`running_top` and :meth:`pick`.

    Each rank keeps a running top of the budget's size, and a second one of
    the lowest keyed draws where ``shuffle_prop`` asks for random picks. What
    is best, or drawn lowest, in the whole pool is so on its own rank too, and
    therefore among the candidates.

    Args:
        context: See :class:`~segal.active.selectors.base.BaseSelector`.
    """

    def __init__(self, context: QueryContext) -> None:
        super().__init__(context)
        self.amount = self.spendable()
        self.randoms = rounded_share(self.amount, self.shuffle_prop)
        # up to `randoms` of the best may turn out to be random picks
        wanted = self.amount - self.randoms
        best_wanted = self.looked_at(wanted) + self.randoms if wanted else 0
        self._best = self.running_top(best_wanted)
        self._drawn = RunningTop(self.randoms)

    def spendable(self) -> int:
        """Count what is asked: the budget, or all that is free."""
        return min(self.total(), int(self.free.sum()))

    def looked_at(self, count: int) -> int:
        """Count the best places from which :meth:`pick` chooses ``count``."""
        return count

    def running_top(self, capacity: int) -> RunningTop:
        """Build what keeps the best ``capacity`` places."""
        return RunningTop(capacity)

    def shortlist(
        self,
        image: PoolImage,
        score: Floats,
        available: Bools,
        prediction: Prediction | None = None,
    ) -> None:
        """Keep what can be among the best; see the base."""
        position, places, scores = self.enter(image, score, available)
        more = self.columns(places, prediction)
        self.offer(position, places, scores, more)

    def columns(
        self, places: Ints, prediction: Prediction | None
    ) -> More | None:
        """Say how to make further columns of the places that are kept."""
        return None

    def offer(
        self,
        position: int,
        places: Ints,
        scores: Floats,
        more: More | None = None,
    ) -> None:
        """Keep those places of one image that may be selected.

        The ``places`` are int64 (n,), each once, ``scores`` float32 (n,);
        ``more`` makes further columns of those that are kept.
        """
        name = self.images[position].name

        def ties(index: Ints) -> Keys:
            return self.ties(name, places[index])

        if self._best.capacity:
            self._best.add(position, places, scores, ties, scores, more)
        if self._drawn.capacity:
            draws = self.draws('shuffle', name, places)
            self._drawn.add(
                position,
                places,
                -uniform(draws),
                draws.__getitem__,
                scores,
                more,
            )

    def candidates(self) -> Candidates:
        """Return this rank's best and its lowest draws, each place once."""
        return self.pack(self.kept())

    def kept(self) -> Picks:
        """Return the picks of :meth:`candidates`, by image, best first."""
        chance = self._drawn.picks()
        for i in np.unique(chance.image):
            mine = chance.image == i
            chance.ties[mine] = self.ties(
                self.images[i].name, chance.places[mine]
            )
        picks = Picks.join([self._best.picks(), chance]).sort()
        again = np.zeros(len(picks.places), bool)
        again[1:] = (picks.image[1:] == picks.image[:-1]) & (
            picks.places[1:] == picks.places[:-1]
        )
        return picks.take(~again)

    def choose(self, shards: Sequence[Candidates]) -> Selection:
        """Choose the random picks, then the best; see the base."""
        return self.spend(self.unpack(shards), Picks.join([]))

    def spend(self, picks: Picks, known: Picks) -> Selection:
        """Choose the random picks, then call :meth:`pick` for the rest.

        The ``picks`` are the candidates of all ranks, ``known`` what was
        labelled before, for subclasses that use it.
        """
        chosen = np.zeros(len(picks.places), bool)
        if self.randoms:
            chosen[lowest(self._shuffled(picks), self.randoms)] = True
        left = np.flatnonzero(~chosen)
        at = self.pick(
            picks.take(left),
            self.amount - int(chosen.sum()),
            Picks.join([picks.take(chosen), known]),
        )
        chosen[left[at]] = True
        return self.selection(picks.take(chosen), self.amount)

    def pick(self, left: Picks, count: int, taken: Picks) -> Ints:
        """Choose the candidates that are picked for their scores.

        From ``left``, candidates that were not picked at random, ``count`` are
        chosen; ``taken`` are the random picks and what was labelled before.
        Returns int64 (min(count, N),), indices into ``left``.
        """
        return left.best(count)

    def _shuffled(self, picks: Picks) -> Keys:
        """Return the random draws of picks sorted by image: uint64 (N,)."""
        occurring, starts = np.unique(picks.image, return_index=True)
        parts = [np.empty(0, np.uint64)]
        for i, places in zip(
            occurring, np.split(picks.places, starts[1:]), strict=False
        ):
            parts.append(self.draws('shuffle', self.images[i].name, places))
        return np.concatenate(parts)
