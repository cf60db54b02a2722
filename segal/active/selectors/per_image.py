from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from segal.errors import ConfigError
from segal.registry import SELECTORS
from segal.seeding import place_keys
from segal.structures import (
    Candidates,
    PoolImage,
    Prediction,
    Selection,
    Unit,
)

from .base import BaseSelector
from .quotas import quotas, rounded_share, top_count
from .top import Picks, best, lowest


@SELECTORS.register_module()
class PixelsPerImage(BaseSelector):
    """Gives every image the same share of the budget.

    ``Budget(q, per_image=True)`` is q pixels of each image, or all that is
    free there. ``Budget(B, per_image=False)`` is B pixels, spread by
    :func:`~segal.active.selectors.quotas.quotas`.

    Within an image: first the random picks of ``shuffle_prop`` (their number
    is of each image's own quota), then the best of the other available
    pixels; or, with ``top_percent``, uniform draws from the best of them. How
    many are "the best" is counted over the whole image, H * W, rounded down,
    and is at least the quota.

    Source: the draw from the top per cent is that of Shin et al., All You
    Need Are a Few Pixels, ICCV 2021 workshops, section 3.

    Args:
        args: See :class:`~segal.active.selectors.base.BaseSelector`.
        top_percent: Per cent of one image's pixels to draw from, in (0, 100];
            None takes exactly the best.
        kwargs: See the base.
    """

    unit: ClassVar[Unit] = 'pixel'
    evenly: ClassVar[bool | None] = True

    def __init__(
        self, *args: Any, top_percent: float | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        if top_percent is not None and not 0 < top_percent <= 100:
            raise ConfigError(
                'top_percent: wanted per cent of an image in (0, 100], got '
                f'{top_percent}'
            )
        self.top_percent = top_percent
        if self.budget.per_image:
            self.quotas = np.minimum(self.free, self.budget.amount)
        else:
            draws = [self._stream('quota', x.name) for x in self.images]
            self.quotas = quotas(
                self.budget.amount, self.free, np.array(draws, np.uint64)
            )
        self._picks: list[Picks] = []

    def shortlist(
        self,
        image: PoolImage,
        score: NDArray[np.float32],
        available: NDArray[np.bool_],
        prediction: Prediction | None = None,
    ) -> None:
        """Pick this image's share; see the base."""
        position, places, scores = self._enter(image, score, available)
        quota = int(self.quotas[position])
        if not quota:
            return
        tie = self._stream('tie', image.name)

        by_chance = np.empty(0, np.int64)  # indices into places
        left = np.arange(len(places))  # the others
        randoms = rounded_share(quota, self.shuffle_prop)
        if randoms:
            stream = self._stream('shuffle', image.name)
            by_chance = lowest(place_keys(stream, places), randoms)
            left = np.delete(left, by_chance)
            scores_left = scores[left]
        else:
            scores_left = scores

        by_score = left[
            self._by_score(
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
            Picks(
                np.full(len(chosen), position, np.int32),
                places[chosen],
                scores[chosen],
                place_keys(tie, places[chosen]),
            )
        )

    def _by_score(
        self,
        image: PoolImage,
        places: NDArray[np.int64],
        scores: NDArray[np.float32],
        quota: int,
        taken: NDArray[np.int64],
        prediction: Prediction | None,
    ) -> NDArray[np.int64]:
        """Which places of one image are picked for their scores.

        Args:
            image: Which one.
            places: int64 (n,), those that may be picked.
            scores: float32 (n,).
            quota: How many are wanted, n at most.
            taken: int64 (m,), places that were picked by chance.
            prediction: Of the image, with all that is needed.

        Returns:
            int64 (quota,), indices into ``places``.
        """
        tie = self._stream('tie', image.name)
        wanted = quota
        if self.top_percent is not None:
            wanted = max(quota, top_count(image.pixels, self.top_percent))
        top = best(scores, lambda at: place_keys(tie, places[at]), wanted)
        if len(top) > quota:
            stream = self._stream('draw', image.name)
            top = top[lowest(place_keys(stream, places[top]), quota)]
        return top

    def _refuse_top_percent(self, takes: str) -> None:
        """For subclasses that do not draw from a top per cent.

        Args:
            takes: What they take instead.

        Raises:
            ConfigError: ``top_percent`` is set.
        """
        if self.top_percent is not None:
            raise ConfigError(
                f'top_percent: not together with {type(self).__name__}, which '
                f'takes {takes}; got {self.top_percent}; leave out '
                'settings.pixel.sample_threshold'
            )

    def candidates(self) -> Candidates:
        """Every image's final picks."""
        return self._pack(Picks.join(self._picks).sort())

    def choose(self, shards: Sequence[Candidates]) -> Selection:
        """Join the ranks' picks; see the base."""
        return self._selection(self._unpack(shards), int(self.quotas.sum()))
