from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from segal.errors import ConfigError, nearest
from segal.registry import SELECTORS
from segal.structures import WHOLE_IMAGE, PoolImage, Prediction, Unit

from .context import Bools, Floats, QueryContext
from .over_pool import BestOverPool

_AGGREGATES: dict[str, Callable[[Floats], Any]] = {
    'mean': lambda scores: scores.mean(dtype=np.float64),
    'max': np.max,
    'sum': lambda scores: scores.sum(dtype=np.float64),
    'median': np.median,
}


@SELECTORS.register_module()
class WholeImages(BestOverPool):
    """Asks for the label maps of the images that score highest.

    An image's score is an aggregate of the scores of its available pixels;
    images where nothing is available are passed over. Where scores are draws
    (``Random``) and images have unlike numbers of pixels, it is the draw of
    one pixel: an aggregate of many would depend on their number.

    Args:
        context: See :class:`~segal.active.selectors.base.BaseSelector`; the
            budget counts images of the whole pool.
        aggregate: ``'mean'``, ``'max'``, ``'sum'`` (which prefers large
            images) or ``'median'``.

    Raises:
        ConfigError: Another aggregate, or a budget for each image.
    """

    unit: ClassVar[Unit] = 'image'

    def __init__(self, context: QueryContext, aggregate: str = 'mean') -> None:
        super().__init__(context)
        if self.budget.per_image:
            raise ConfigError(
                'budget: whole images are asked from the whole pool, got '
                f'{self.budget.amount} for each image'
            )
        if aggregate not in _AGGREGATES:
            raise ConfigError(
                f'aggregate: {aggregate!r} is not known'
                f'{nearest(aggregate, _AGGREGATES)}'
            )
        self.aggregate = aggregate
        free = self.free[self.free > 0]
        self.draws_one = (
            context.draws
            and self.budget.amount < len(free)
            and bool(np.ptp(free))
        )

    def spendable(self) -> int:
        """Count the images to ask: the budget, or all with a free place."""
        return min(self.budget.amount, int(np.count_nonzero(self.free)))

    def shortlist(
        self,
        image: PoolImage,
        score: Floats,
        available: Bools,
        prediction: Prediction | None = None,
    ) -> None:
        """Score the image; see the base."""
        position, places, scores = self.enter(image, score, available)
        if len(places):
            self.offer(
                position, np.array([WHOLE_IMAGE]), self.aggregated(scores)
            )

    def aggregated(self, scores: Floats) -> Floats:
        """Turn the scores of an image's available pixels into one: (1,)."""
        if self.draws_one:
            return scores[:1]
        value = _AGGREGATES[self.aggregate](scores)
        return np.array([value], np.float32)
