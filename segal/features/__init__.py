"""Describe images by features for the query."""

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
