"""Register data sets and transforms that mmseg lacks."""

import segal.registry  # noqa: F401  (lets a user's class win a name)
from segal.datasets.camvid import CamVidDataset
from segal.datasets.gtav import GTAVDataset
from segal.datasets.pipelines import (
    LabelKeepingResize,
    RandomColorJitter,
    RandomGaussianBlur,
    RandomGrayscale,
)
from segal.datasets.synthetic import SyntheticScenesDataset

__all__ = [
    'CamVidDataset',
    'GTAVDataset',
    'LabelKeepingResize',
    'RandomColorJitter',
    'RandomGaussianBlur',
    'RandomGrayscale',
    'SyntheticScenesDataset',
]
