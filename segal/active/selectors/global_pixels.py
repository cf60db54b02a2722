from __future__ import annotations

from typing import ClassVar

from segal.registry import SELECTORS
from segal.structures import Unit

from .over_pool import BestOverPool


@SELECTORS.register_module()
class PixelsGlobal(BestOverPool):
    """Spends one budget where the scores of the whole pool are highest.

    Exact: the selection is the one that sorting every available pixel of the
    pool would give. Memory is bounded by the budget. ``Budget(q,
    per_image=True)`` is q times the number of images, spent anywhere.

    Its arguments are those of
    :class:`~segal.active.selectors.base.BaseSelector`.
    """

    unit: ClassVar[Unit] = 'pixel'
    evenly: ClassVar[bool | None] = False
