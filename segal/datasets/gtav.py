from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from mmseg.datasets import CityscapesDataset, CustomDataset
from mmseg.datasets.builder import DATASETS

_SUFFIXES = ('_labelTrainIds.png', '_cityscapes.png')


@DATASETS.register_module()
class GTAVDataset(CustomDataset):
    """Street scenes from a game, with the 19 classes of Cityscapes.

    ``images/00001.png`` has its training ids in
    ``labels/00001_labelTrainIds.png``, as ``tools/convert_datasets/gtav.py``
    writes them; where there are none, in ``labels/00001_cityscapes.png``, as
    the first SegAL had them.

    Source: Richter et al., Playing for Data: Ground Truth from Computer
    Games, ECCV 2016.

    Args:
        **kwargs: As for mmseg's ``CustomDataset``, but for the suffixes.
    """

    CLASSES: ClassVar = CityscapesDataset.CLASSES
    PALETTE: ClassVar = CityscapesDataset.PALETTE

    def __init__(
        self,
        ann_dir: str | None = None,
        data_root: str | None = None,
        seg_map_suffix: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            img_suffix='.png',
            seg_map_suffix=seg_map_suffix or _suffix(ann_dir, data_root),
            ann_dir=ann_dir,
            data_root=data_root,
            **kwargs,
        )


def _suffix(ann_dir: str | None, data_root: str | None) -> str:
    """How the label files end that lie in a folder."""
    if ann_dir is not None:
        folder = Path(data_root or '') / ann_dir
        for suffix in _SUFFIXES:
            if next(folder.rglob(f'*{suffix}'), None) is not None:
                return suffix
    return _SUFFIXES[0]
