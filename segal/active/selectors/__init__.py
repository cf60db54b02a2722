"""Selectors: how a budget is spent on scores."""

from .badge_images import Badge
from .base import BaseSelector, SelectorFactory
from .context import Mask, QueryContext
from .core_set import CoreSet
from .global_pixels import PixelsGlobal
from .k_means_images import KMeansPlusPlus
from .per_image import PixelsPerImage
from .pixels_badge import PixelsBadge, PixelsBadgeGlobal
from .pixels_k_centre import PixelsKCentre, PixelsKCentreGlobal
from .pixels_k_means import PixelsKMeansPlusPlus, PixelsKMeansPlusPlusGlobal
from .regions import BaseRegions
from .regions_global import RegionsGlobal
from .regions_per_image import RegionsPerImage
from .score_per_cost import ScorePerCost
from .spread_pixels import PixelsSpread
from .stratified import PixelsStratified
from .stratified_global import PixelsStratifiedGlobal
from .typiclust import TypiClust
from .whole_images import WholeImages

__all__ = [
    'Badge',
    'BaseRegions',
    'BaseSelector',
    'CoreSet',
    'KMeansPlusPlus',
    'Mask',
    'PixelsBadge',
    'PixelsBadgeGlobal',
    'PixelsGlobal',
    'PixelsKCentre',
    'PixelsKCentreGlobal',
    'PixelsKMeansPlusPlus',
    'PixelsKMeansPlusPlusGlobal',
    'PixelsPerImage',
    'PixelsSpread',
    'PixelsStratified',
    'PixelsStratifiedGlobal',
    'QueryContext',
    'RegionsGlobal',
    'RegionsPerImage',
    'ScorePerCost',
    'SelectorFactory',
    'TypiClust',
    'WholeImages',
]
