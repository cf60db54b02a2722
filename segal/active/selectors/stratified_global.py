from __future__ import annotations

from typing import ClassVar

import numpy as np

from segal.registry import SELECTORS
from segal.structures import Prediction

from .context import Floats, Ints
from .global_pixels import PixelsGlobal
from .stratified import best_of_classes, predicted
from .top import More, Picks, RunningTop, Ties, within


class StratifiedTop(RunningTop):
    """Keeps the best ``capacity`` of each class of a stream."""

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self._strata: dict[int, RunningTop] = {}

    def add(
        self,
        image: int,
        places: Ints,
        values: Floats,
        ties: Ties,
        scores: Floats,
        more: More | None = None,
    ) -> None:
        """Take in the places of one image; ``more`` makes their classes."""
        assert more is not None
        classes = more(np.arange(len(places)))['classes']
        for one in np.unique(classes).tolist():
            at = np.flatnonzero(classes == one)
            top = self._strata.setdefault(one, RunningTop(self.capacity))
            top.add(
                image,
                places[at],
                values[at],
                within(ties, at),
                scores[at],
                within(more, at),
            )

    def picks(self) -> Picks:
        """Return the best of every class, in no particular order."""
        return Picks.join([top.picks() for top in self._strata.values()])


@SELECTORS.register_module()
class PixelsStratifiedGlobal(PixelsGlobal):
    """Spends one budget over the pool, the same share for every class.

    The budget is split over the classes that are predicted somewhere in the
    pool, as evenly as their numbers of available pixels allow; of each the
    best pixels are picked. Random picks of ``shuffle_prop`` are not counted
    to a class.

    Memory: C x budget x 25 bytes are gathered from each rank at most, and a
    rank holds up to three times as much.

    Source: see :class:`~segal.active.selectors.stratified.PixelsStratified`.

    Its arguments are those of
    :class:`~segal.active.selectors.base.BaseSelector`.
    """

    needs: ClassVar[tuple[str, ...]] = ('probs',)

    def running_top(self, capacity: int) -> RunningTop:
        """Build what keeps the best of each class; see the base."""
        return StratifiedTop(capacity)

    def columns(self, places: Ints, prediction: Prediction | None) -> More:
        """Keep the predicted class of each pixel; see the base."""
        classes = predicted(prediction, places)
        return lambda at: dict(classes=classes[at])

    def pick(self, left: Picks, count: int, taken: Picks) -> Ints:
        """Choose the best of each class; see the base."""
        if not len(left.places):
            return np.empty(0, np.int64)
        assert left.classes is not None
        return best_of_classes(
            left.classes,
            left.scores,
            left.ties.__getitem__,
            count,
            self.stream('class', ''),
        )
