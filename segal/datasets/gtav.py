from __future__ import annotations

import os.path as osp
from typing import Any, ClassVar

from mmseg.datasets import CityscapesDataset, CustomDataset
from mmseg.datasets.builder import DATASETS

SUFFIXES = ('_labelTrainIds.png', '_cityscapes.png')
"""Of the label maps, the first that exists."""


@DATASETS.register_module()
class GTAVDataset(CustomDataset):
    """Street scenes from a game, with the 19 classes of Cityscapes.

    ``images/00001.png`` has its training ids in
    ``labels/00001_labelTrainIds.png``, as ``tools/convert_datasets/gtav.py``
    writes them, or in ``labels/00001_cityscapes.png``, as others name them:
    whichever exists, where the suffix is not given.

    Source: Richter et al., Playing for Data: Ground Truth from Computer
    Games, ECCV 2016.

    Args:
        **kwargs: As for mmseg's ``CustomDataset``, but for ``img_suffix``.
    """

    CLASSES: ClassVar = CityscapesDataset.CLASSES
    PALETTE: ClassVar = CityscapesDataset.PALETTE

    def __init__(self, **kwargs: Any) -> None:
        given = 'seg_map_suffix' in kwargs
        kwargs.setdefault('seg_map_suffix', SUFFIXES[0])
        kwargs.setdefault('img_suffix', '.png')
        super().__init__(**kwargs)
        if not given:
            self._take_suffix_that_exists()

    def _take_suffix_that_exists(self) -> None:
        """Name each label map by the first suffix that its file has."""
        if self.ann_dir is None:
            return
        for info in self.img_infos:
            stem = info['ann']['seg_map'].removesuffix(SUFFIXES[0])
            for suffix in SUFFIXES:
                if osp.exists(osp.join(self.ann_dir, stem + suffix)):
                    info['ann']['seg_map'] = stem + suffix
                    break
