"""What else than its own predictions a query may know of an image."""

from .backbone import Backbone
from .base import KINDS, BaseExtractor, Described
from .frozen import FrozenExtractor
from .mmselfsup import MMSelfSup
from .segmentor import Segmentor

__all__ = [
    'KINDS',
    'Backbone',
    'BaseExtractor',
    'Described',
    'FrozenExtractor',
    'MMSelfSup',
    'Segmentor',
]
