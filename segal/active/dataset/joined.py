"""Join data sets of one type that lie in several folders or splits."""

from __future__ import annotations

import os.path as osp
from collections.abc import Sequence
from typing import Any

from mmseg.datasets import ConcatDataset, CustomDataset

from segal.errors import ConfigError


def joined(dataset: Any) -> Any:
    """Make one data set of the parts that lists of folders are built as.

    mmseg builds a section with lists (``img_dir``, ``ann_dir``, ``split``) as
    a ``ConcatDataset`` of one data set each. They differ in nothing else. The
    joined one has their images in the same order, below the folder that all
    parts share.

    Raises:
        ConfigError: The parts share no folder.
    """
    if not isinstance(dataset, ConcatDataset):
        return dataset
    whole, *others = parts = dataset.datasets
    if not others or not all(isinstance(x, CustomDataset) for x in parts):
        return dataset
    images = _shared('img_dir', [part.img_dir for part in parts])
    masks = None
    if whole.ann_dir is not None:
        masks = _shared('ann_dir', [part.ann_dir for part in parts])
    infos = []
    for part in parts:
        for info in part.img_infos:
            info = dict(
                info, filename=_below(images, part.img_dir, info['filename'])
            )
            if masks is not None and 'ann' in info:
                name = _below(masks, part.ann_dir, info['ann']['seg_map'])
                info['ann'] = dict(info['ann'], seg_map=name)
            infos.append(info)
    whole.img_infos, whole.img_dir, whole.ann_dir = infos, images, masks
    return whole


def _shared(key: str, folders: Sequence[str]) -> str:
    """Return the folder that all folders lie in."""
    if len(set(folders)) == 1:
        return folders[0]
    try:
        if not any('://' in folder for folder in folders):
            return osp.commonpath(folders) or osp.curdir
    except ValueError:  # absolute and relative ones
        pass
    raise ConfigError(
        f'{key}: wanted folders below one folder, got {list(folders)}; write '
        'all of them absolute or all relative, on a disk'
    )


def _below(shared: str, folder: str, name: str) -> str:
    """Return the path of a file of a folder, relative to a shared one."""
    if folder == shared:
        return name
    return osp.join(osp.relpath(folder, shared), name)
