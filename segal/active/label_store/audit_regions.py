"""Check that a selection of regions spends the budget."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segal.active.label_store.audit import audit_error
from segal.active.selectors import BaseRegions, RegionsPerImage
from segal.structures import PoolImage, Selection


def check_regions(selection: Selection, selector: BaseRegions) -> None:
    """Check that regions spend the budget, or take all that is free.

    Args:
        selection: Of regions; ``check_selection`` accepted it.
        selector: That chose it; holds the budget, the shape and the chosen
            regions.

    Raises:
        RuntimeError: The regions cost more than the budget, or less although
            another region would fit; or a region is asked in part.
    """
    number, budget = selection.round, selector.budget
    what = 'pixels of regions' if selector.in_pixels else 'regions'
    spent = np.zeros(len(selector.images), np.int64)
    for at, image in enumerate(selector.images):
        if image.name not in selection.places:
            continue
        asked, regions = _asked(selection, image)
        whole = _covered(selector, image) & selector.available(image)
        missing = int(np.count_nonzero(whole & ~asked))
        if (asked & ~whole).any() or (missing and not selector.in_pixels):
            raise audit_error(
                number, f'whole regions of {image.name!r}', 'others'
            )
        spent[at] = np.count_nonzero(asked) if selector.in_pixels else regions
    total, most = int(spent.sum()), selector.total()
    if total > most:
        raise audit_error(number, f'at most {most} {what}', f'{total}')
    if isinstance(selector, RegionsPerImage):
        each = selector.quotas
        over = np.flatnonzero(spent > each)
        if len(over):
            at = int(over[0])
            raise audit_error(
                number,
                f'at most {each[at]} {what} of {selector.images[at].name!r}',
                f'{spent[at]}',
            )
        if not budget.per_image and total < most:
            each = selector.most
        short = np.flatnonzero(spent < each)
    else:
        short = np.arange(len(spent)) if total < most else np.empty(0, int)
    for at in short.tolist():
        image = selector.images[at]
        if selector.free[at] and _room(selector, image):
            raise audit_error(
                number,
                f'{most} {what} (the budget, {budget}), or all that is free',
                f'{total}, with room left in {image.name!r}',
            )


def _asked(
    selection: Selection, image: PoolImage
) -> tuple[NDArray[np.bool_], int]:
    """Return the mask of the asked places, bool (H, W), and the regions."""
    asked = np.zeros(image.size, bool)
    asked.reshape(-1)[selection.places[image.name]] = True
    return asked, len(np.unique(selection.regions[image.name]))


def _covered(selector: BaseRegions, image: PoolImage) -> NDArray[np.bool_]:
    """Return the mask of the chosen regions of an image, bool (H, W)."""
    covered = np.zeros(image.size, bool)
    if image.name in selector.numbers:
        numbers = selector.numbers[image.name]
        places, _ = selector.shape.pixels(image, numbers)
        covered.reshape(-1)[places] = True
    return covered


def _room(selector: BaseRegions, image: PoolImage) -> bool:
    """Check whether an image has room for another region."""
    covered = _covered(selector, image)
    asked = selector.asked(image) | covered
    available = selector.available(image) & ~covered
    return selector.shape.room(image, asked, available)
