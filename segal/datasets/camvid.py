from __future__ import annotations

from typing import Any, ClassVar

from mmseg.datasets import CustomDataset
from mmseg.datasets.builder import DATASETS


@DATASETS.register_module()
class CamVidDataset(CustomDataset):
    """CamVid with 11 classes, as ``tools/convert_datasets/camvid.py`` has it.

    Label maps hold 0 to 10 in the order of ``CLASSES``, and 255 where void.

    Source: Brostow et al., Semantic Object Classes in Video, Pattern
    Recognition Letters 2009; classes of Badrinarayanan et al., SegNet, 2017.

    Args:
        **kwargs: As for mmseg's ``CustomDataset``. Images converted from the
            SegNet folder end in ``.png``: set ``img_suffix`` for them.
    """

    CLASSES: ClassVar = (
        'sky',
        'building',
        'pole',
        'road',
        'pavement',
        'tree',
        'sign symbol',
        'fence',
        'car',
        'pedestrian',
        'bicyclist',
    )

    PALETTE: ClassVar = [
        [128, 128, 128],
        [128, 0, 0],
        [192, 192, 128],
        [128, 64, 128],
        [0, 0, 192],
        [128, 128, 0],
        [192, 128, 128],
        [64, 64, 128],
        [64, 0, 128],
        [64, 64, 0],
        [0, 128, 192],
    ]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
