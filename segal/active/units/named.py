"""Units by the names that configs and label files call them."""

from __future__ import annotations

from segal.active.units.base import QueryUnit
from segal.active.units.images import Images
from segal.active.units.pixels import Pixels
from segal.active.units.region import Region
from segal.structures import Answer, Selection

_KINDS: dict[str, type[QueryUnit]] = {
    kind.name: kind for kind in (Pixels, Region, Images)
}


def unit_named(name: str, answer: Answer = 'all') -> QueryUnit:
    """Return a unit that says all but where its regions lie.

    Args:
        name: ``'pixel'``, ``'region'`` or ``'image'``.
        answer: What is said of a region.
    """
    return _KINDS[name]().answered(answer)


def unit_of(selection: Selection) -> QueryUnit:
    """Return the unit that a selection asks, with its answer."""
    if selection.regions:
        return unit_named('region', selection.answer)
    return unit_named(selection.unit)
