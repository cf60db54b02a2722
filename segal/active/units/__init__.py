"""Define query units: pixels, images and regions."""

from .base import Fit, QueryUnit
from .images import Images
from .named import unit_named, unit_of
from .pixels import Pixels
from .region import Region

__all__ = [
    'Fit',
    'Images',
    'Pixels',
    'QueryUnit',
    'Region',
    'unit_named',
    'unit_of',
]
