from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from segal.active.units.base import NO_CLASS, Packed, QueryUnit
from segal.active.units.costs import Asked, Costs, exact
from segal.registry import UNITS
from segal.structures import (
    LABELLED,
    REFUSED,
    VOID,
    ImageAnswers,
    PixelAnswers,
    PoolImage,
    Unit,
)


@UNITS.register_module()
class Pixels(QueryUnit):
    """Single pixels: the class of each is asked."""

    name: ClassVar[Unit] = 'pixel'
    first_key: ClassVar[str] = 'initial_label_pixels'
    selector_keys: ClassVar[dict[str, str]] = {
        'sample_threshold': 'top_percent'
    }

    def usual_selector(
        self, evenly: bool, top_percent: float | None, aggregate: str
    ) -> dict[str, Any]:
        """See the base."""
        if evenly:
            return {'type': 'PixelsPerImage', 'top_percent': top_percent}
        return {'type': 'PixelsGlobal'}

    def price(self, costs: Costs) -> Fraction:
        """See the base."""
        return exact(costs.pixel)

    def asked(self, count: int, opened: int, shares: float = 0.0) -> Asked:
        """See the base."""
        return Asked(pixels=count, opened=opened)

    def answers(
        self,
        truth: NDArray[np.uint8],
        places: NDArray[np.int64],
        regions: NDArray[np.int32] | None,
    ) -> PixelAnswers:
        """Look up the class of each place; see the base."""
        return self._looked_up(places, truth.reshape(-1)[places])

    def _looked_up(
        self, places: NDArray[np.int64], classes: NDArray[np.uint8]
    ) -> PixelAnswers:
        status = np.where(classes == NO_CLASS, VOID, LABELLED)
        return PixelAnswers(places, classes, status.astype(np.uint8))

    def pack(
        self,
        image: PoolImage,
        places: NDArray[np.int64],
        answer: PixelAnswers | ImageAnswers,
        available: Callable[[str], NDArray[np.bool_]],
    ) -> Packed:
        """Check that each place has one answer; see the base."""
        trouble = f'{image.name!r}: wanted answers to {len(places)} pixels'
        if not isinstance(answer, PixelAnswers):
            raise RuntimeError(f'{trouble}, got {type(answer).__name__}')
        if not np.array_equal(places, answer.places):
            raise RuntimeError(
                f'{trouble}, got {len(answer.places)} places that are not '
                'those'
            )
        status = np.asarray(answer.status)
        classes = np.asarray(answer.classes)
        if not (status.shape == classes.shape == places.shape):
            raise RuntimeError(
                f'{trouble}, got {classes.shape} classes, {status.shape} '
                'statuses'
            )
        if len(places) and not 0 <= places.min() <= places.max() < (
            image.pixels
        ):
            raise RuntimeError(
                f'{image.name!r}: wanted places 0 to {image.pixels - 1}, got '
                f'{places.min()} to {places.max()}'
            )
        if not np.isin(status, (LABELLED, VOID, REFUSED)).all():
            raise RuntimeError(
                f'{image.name!r}: wanted statuses {LABELLED}, {VOID} or '
                f'{REFUSED}, got {np.unique(status).tolist()}'
            )
        bought = classes[status == LABELLED]
        if len(bought) and not 0 <= bought.min() <= bought.max() < NO_CLASS:
            raise RuntimeError(
                f'{image.name!r}: wanted class ids 0 to {NO_CLASS - 1} where '
                f'labelled, got {bought.min()} to {bought.max()}'
            )
        classes = np.where(status == LABELLED, classes, NO_CLASS)
        return Packed(places, classes.astype(np.uint8), status)
