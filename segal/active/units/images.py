from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from segal.active.units.base import NO_CLASS, Fit, Packed, QueryUnit
from segal.active.units.costs import Asked, Costs, exact
from segal.registry import UNITS
from segal.structures import (
    LABELLED,
    REFUSED,
    VOID,
    Budget,
    ImageAnswers,
    PixelAnswers,
    PoolImage,
    Unit,
)


@UNITS.register_module()
class Images(QueryUnit):
    """Whole images: a label map of each is asked."""

    name: ClassVar[Unit] = 'image'
    stored: ClassVar[Literal['pixel', 'image']] = 'image'
    first_key: ClassVar[str] = 'initial_pool'
    whole: ClassVar[bool] = True
    drawn: ClassVar[Literal['marks', 'areas', 'sheet']] = 'sheet'

    def typical_pixels(self, image: PoolImage) -> int:
        """See the base."""
        return image.pixels

    def fit(self, image: PoolImage, count: bool = True) -> Fit:
        """See the base."""
        return Fit(1, 1, True)

    def capacity(self, pool: Sequence[PoolImage]) -> int:
        """See the base."""
        return len(pool)

    def usual_selector(
        self, evenly: bool, top_percent: float | None, aggregate: str
    ) -> dict[str, Any]:
        """See the base."""
        return {'type': 'WholeImages', 'aggregate': aggregate}

    def in_words(self, budget: Budget, where: str) -> str:
        """See the base; images are asked from the whole pool."""
        return f'{budget.amount:,} images'

    def price(self, costs: Costs) -> Fraction:
        """See the base."""
        return exact(costs.image)

    def asked(self, count: int, opened: int, shares: float = 0.0) -> Asked:
        """See the base."""
        return Asked(images=count, opened=opened)

    def answers(
        self,
        truth: NDArray[np.uint8],
        places: NDArray[np.int64],
        regions: NDArray[np.int32] | None,
    ) -> ImageAnswers:
        """Hand out the label map; see the base."""
        return ImageAnswers(truth)

    def pack(
        self,
        image: PoolImage,
        places: NDArray[np.int64],
        answer: PixelAnswers | ImageAnswers,
        available: Callable[[str], NDArray[np.bool_]],
    ) -> Packed:
        """Check the label map, and count its new pixels; see the base."""
        if not isinstance(answer, ImageAnswers):
            raise RuntimeError(
                f'{image.name!r}: wanted the answer to a whole image, got '
                f'{type(answer).__name__}'
            )
        found, new = answer.label_map, available(image.name)  # (H, W)
        shares = np.zeros(3, np.int32)
        if found is None:
            shares[REFUSED] = new.sum()
            status = REFUSED
        elif found.shape != tuple(image.size) or found.dtype != np.uint8:
            raise RuntimeError(
                f'{image.name!r}: wanted a label map uint8 {image.size}, got '
                f'{found.dtype} {found.shape}'
            )
        else:
            shares[VOID] = np.count_nonzero(found[new] == NO_CLASS)
            shares[LABELLED] = new.sum() - shares[VOID]
            status = LABELLED if shares[LABELLED] else VOID
        nothing = np.empty(0, np.uint8)
        told = np.array([status], np.uint8)
        return Packed(places, nothing, told, found, shares)
