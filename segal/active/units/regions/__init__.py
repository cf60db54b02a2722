"""Regions: the shapes into which an image is cut for a query."""

from .base import AGGREGATES, Fit, Found, RegionShape, Wanted
from .squares import Squares
from .superpixels import Superpixels

__all__ = [
    'AGGREGATES',
    'Fit',
    'Found',
    'RegionShape',
    'Squares',
    'Superpixels',
    'Wanted',
]
