from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from segal.errors import ConfigError
from segal.registry import SELECTORS
from segal.structures import Candidates, PoolImage, Prediction, Selection, Unit

from .base import BaseSelector
from .context import Bools, Floats, Ints, QueryContext
from .quotas import quotas, top_count
from .top import Picks, best, lowest


@SELECTORS.register_module()
class PixelsPerImage(BaseSelector):
    """Gives every image the same share of the budget.

    ``Budget(q, per_image=True)`` is q pixels of each image, or all that is
    free there. ``Budget(B, per_image=False)`` is B pixels, spread by
    :func:`~segal.active.selectors.quotas.quotas`.

    Within an image: first the random picks of ``shuffle_prop`` (their number
    is of each image's own quota), then those of :meth:`pick`: the best of the
    other available pixels; or, with ``top_percent``, uniform draws from the
    best of them. How many are "the best" is counted over the whole image,
    H * W, rounded down, and is at least the quota. A subclass writes
    :meth:`pick` alone.

    Source: the draw from the top per cent is that of Shin et al., All You
    Need Are a Few Pixels, ICCV 2021 workshops, section 3.

    Args:
        context: See :class:`~segal.active.selectors.base.BaseSelector`.
        top_percent: Per cent of one image's pixels to draw from, in (0, 100];
            None takes exactly the best.

    Attributes:
        takes: What a subclass takes that does not draw from a top per cent;
            empty for one that does.
        quotas: int64 (P,), how many pixels are asked of each image.

    Raises:
        ConfigError: ``top_percent`` has no meaning, or does not count.
    """

    unit: ClassVar[Unit] = 'pixel'
    evenly: ClassVar[bool | None] = True
    takes: ClassVar[str] = ''

    def __init__(
        self, context: QueryContext, top_percent: float | None = None
    ) -> None:
        super().__init__(context)
        if top_percent is not None and not 0 < top_percent <= 100:
            raise ConfigError(
                'top_percent: wanted per cent of an image in (0, 100], got '
                f'{top_percent}'
            )
        if top_percent is not None and self.takes:
            raise ConfigError(
                f'top_percent: not together with {type(self).__name__}, which '
                f'takes {self.takes}; got {top_percent}; leave out '
                'settings.pixel.sample_threshold'
            )
        self.top_percent = top_percent
        if self.budget.per_image:
            self.quotas = np.minimum(self.free, self.budget.amount)
        else:
            draws = [self.stream('quota', x.name) for x in self.images]
            self.quotas = quotas(
                self.budget.amount, self.free, np.array(draws, np.uint64)
            )
        self._picks: list[Picks] = []

    def shortlist(
        self,
        image: PoolImage,
        score: Floats,
        available: Bools,
        prediction: Prediction | None = None,
    ) -> None:
        """Pick this image's share; see the base."""
        position, places, scores = self.enter(image, score, available)
        quota = int(self.quotas[position])
        if not quota:
            return
        by_chance = np.empty(0, np.int64)  # indices into places
        left, scores_left = np.arange(len(places)), scores  # of the others
        randoms = self.share_by_chance(image, quota)
        if randoms:
            draws = self.draws('shuffle', image.name, places)
            by_chance = lowest(draws, randoms)
            left = np.delete(left, by_chance)
            scores_left = scores[left]
        by_score = left[
            self.pick(
                image,
                places[left],
                scores_left,
                quota - randoms,
                places[by_chance],
                prediction,
            )
        ]
        chosen = np.concatenate([by_chance, by_score])
        self._picks.append(
            self.picks_of(position, places[chosen], scores[chosen])
        )

    def pick(
        self,
        image: PoolImage,
        places: Ints,
        scores: Floats,
        quota: int,
        taken: Ints,
        prediction: Prediction | None,
    ) -> Ints:
        """Choose the places of one image that are picked for their scores.

        Args:
            image: Which one.
            places: int64 (n,), flat indices of those that may be picked,
                ascending.
            scores: float32 (n,).
            quota: How many to choose, n at most.
            taken: int64 (m,), places that were picked at random.
            prediction: Of the image, with all that is needed.

        Returns:
            int64 (quota,), indices into ``places``, each once.
        """
        wanted = quota
        if self.top_percent is not None:
            wanted = max(quota, top_count(image.pixels, self.top_percent))
        top = self.best(image, places, scores, wanted)
        if len(top) > quota:
            draws = self.draws('draw', image.name, places[top])
            top = top[lowest(draws, quota)]
        return top

    def best(
        self, image: PoolImage, places: Ints, scores: Floats, count: int
    ) -> Ints:
        """Find the best of n places; equal ones by their tie keys.

        Returns int64 (min(count, n),), indices into ``places``, in no
        particular order.
        """
        return best(
            scores, lambda at: self.ties(image.name, places[at]), count
        )

    def candidates(self) -> Candidates:
        """Return every image's final picks."""
        return self.pack(Picks.join(self._picks).sort())

    def choose(self, shards: Sequence[Candidates]) -> Selection:
        """Join the ranks' picks; see the base."""
        return self.selection(self.unpack(shards), int(self.quotas.sum()))
