from __future__ import annotations

from typing import Any, ClassVar

from mmseg.datasets import CityscapesDataset, CustomDataset
from mmseg.datasets.builder import DATASETS


@DATASETS.register_module()
class GTAVDataset(CustomDataset):
    """Street scenes from a game, with the 19 classes of Cityscapes.

    ``images/00001.png`` has its training ids in
    ``labels/00001_labelTrainIds.png``, as ``tools/convert_datasets/gtav.py``
    writes them.

    Source: Richter et al., Playing for Data: Ground Truth from Computer
    Games, ECCV 2016.

    Args:
        **kwargs: As for mmseg's ``CustomDataset``, but for the suffixes.
    """

    CLASSES: ClassVar = CityscapesDataset.CLASSES
    PALETTE: ClassVar = CityscapesDataset.PALETTE

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            img_suffix='.png', seg_map_suffix='_labelTrainIds.png', **kwargs
        )
