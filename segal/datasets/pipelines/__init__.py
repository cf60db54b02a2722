"""Register transforms that mmseg lacks."""

from segal.datasets.pipelines.color import (
    RandomColorJitter,
    RandomGaussianBlur,
    RandomGrayscale,
)
from segal.datasets.pipelines.keep_weak_view import KeepWeakView
from segal.datasets.pipelines.label_keeping_resize import LabelKeepingResize

__all__ = [
    'KeepWeakView',
    'LabelKeepingResize',
    'RandomColorJitter',
    'RandomGaussianBlur',
    'RandomGrayscale',
]
