"""Open images, and split a budget over new images and open ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import floor

import numpy as np
from numpy.typing import NDArray

from segal.active.selectors import BaseSelector, SelectorFactory
from segal.active.selectors.quotas import quotas, rounded_share
from segal.structures import Budget, Split


@dataclass(frozen=True)
class Opening:
    """Splits the budget of a query over new images and open ones.

    An image is open once something of it was asked. A query opens exactly
    ``images`` more, or all that are left; with ``'score_per_cost'``, at most
    this many. Then it spends exactly ``inside`` in all open images.

    Attributes:
        make_selector: Builds the selector of the images to open.
        images: To open.
        inside: Budget of places in open images, new ones included; where it
            is for each image, for each open one.
        split: ``'even'``: new and old images share ``inside`` as any images
            would. A number: this share of it goes to the new ones, halves of
            a place rounded up; what the old ones cannot take goes to the new
            ones, and more than the pixels of the new ones to the old ones.
            ``'score_per_cost'``: each image that is opened gets
            ``first_pixels``, the old ones what is left; what one cannot take
            goes to the others.
        first_pixels: Pixels bought in an image when it is opened.
        opening_pixels: Price of opening an image, in pixels.
    """

    make_selector: SelectorFactory
    images: int
    inside: Budget
    split: Split = 'even'
    first_pixels: int = 0
    opening_pixels: float = 0.0

    def parts(
        self,
        old: NDArray[np.bool_],
        new: NDArray[np.bool_],
        free: NDArray[np.int64],
    ) -> Iterator[tuple[NDArray[np.bool_], Budget]]:
        """Split the budget over old images and new ones.

        Of two parts the second may be given what the first leaves unspent,
        where its budget is not for each image.

        Args:
            old: bool (P,), those that are open already and not exhausted.
            new: bool (P,), those that this query opens.
            free: int64 (P,), places that may be asked in each image.

        Yields:
            bool (P,) and the budget of places in those; the old ones first.
            With ``'score_per_cost'`` each new one comes by itself.
        """
        inside = self.inside
        if self.split == 'even' or not (old.any() and new.any()):
            yield old | new, inside
            return
        if self.split == 'score_per_cost':
            places = np.flatnonzero(new)
            amounts = np.minimum(self.first_pixels, free[places])
            paid = len(places) * self.opening_pixels + int(amounts.sum())
            left = max(0, floor(inside.amount - paid))
            over = max(0, left - int(free[old].sum()))  # old ones have less
            order = np.arange(len(places), dtype=np.uint64)
            more = quotas(over, free[places] - amounts, order)
            yield old, Budget(left - int(more.sum()), False)
            for place, amount in zip(places, amounts + more, strict=True):
                yield np.arange(len(new)) == place, Budget(int(amount), True)
            return
        share = rounded_share(inside.amount, self.split)
        share = min(share, int(free[new].sum()))
        yield old, Budget(inside.amount - share, False, inside.in_pixels)
        yield new, Budget(share, False, inside.in_pixels)


def check_opened(
    new: NDArray[np.bool_],
    closed: NDArray[np.bool_],
    opening: Opening,
    selector: BaseSelector,
) -> None:
    """Check that a query opens as many images as its budget says.

    Args:
        new: bool (P,), those to open.
        closed: bool (P,), those that could be.
        opening: The budget.
        selector: That chose; for the message.

    Raises:
        RuntimeError: More, fewer, or some that were open.
    """
    wanted = min(opening.images, int(closed.sum()))
    count = int(new.sum())
    fewer = opening.split == 'score_per_cost' and count < wanted
    if (new & ~closed).any() or (count != wanted and not fewer):
        raise RuntimeError(
            f'{type(selector).__name__}: wanted {wanted} images to open, of '
            f'{int(closed.sum())} that are not, got {count}; nothing was '
            'written, and every earlier label is as it was'
        )
