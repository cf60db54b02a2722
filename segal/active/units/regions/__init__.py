"""Regions: the ways in which an image is cut for a query."""

from segal.active.units.base import Fit
from segal.active.units.region import AGGREGATES, Found, Region, Wanted

from .partition import Partition
from .squares import Squares
from .superpixels import Superpixels

__all__ = [
    'AGGREGATES',
    'Fit',
    'Found',
    'Partition',
    'Region',
    'Squares',
    'Superpixels',
    'Wanted',
]
