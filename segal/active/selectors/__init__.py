"""Selectors: how a budget is spent on scores."""

from .base import BaseSelector
from .global_pixels import PixelsGlobal
from .per_image import PixelsPerImage
from .spread_pixels import PixelsSpread
from .whole_images import WholeImages

__all__ = [
    'BaseSelector',
    'PixelsGlobal',
    'PixelsPerImage',
    'PixelsSpread',
    'WholeImages',
]
