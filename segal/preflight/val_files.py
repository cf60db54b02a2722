"""Check that every file of ``data.val`` is there, before anything is trained.

The first evaluation reads them, which may be hours later.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from mmcv.fileio.file_client import HardDiskBackend
from mmseg.datasets import CustomDataset
from mmseg.datasets.pipelines import LoadAnnotations
from PIL import Image

from segal.active.dataset.base import LoadFirst, image_file
from segal.active.dataset.listing import Found, check
from segal.active.images.file import loader_of
from segal.preflight.label_values import is_read_here


def check_val_files(val: Any) -> None:
    """Check that images and annotations are there, each pair of one size.

    Headers alone are read, of what mmseg's own steps read from this disk.

    Raises:
        DataError: Some are missing, or of another size.
    """
    if (
        not is_read_here(val)
        or type(val).pre_eval is not CustomDataset.pre_eval
        or not isinstance(val.file_client.client, HardDiskBackend)
    ):
        return
    loader = LoadFirst(val, 'data.val')
    sizes = not loader_of(loader.load).own and (
        type(val.gt_seg_map_loader).__call__ is LoadAnnotations.__call__
    )

    def look(index: int) -> list[str]:
        return list(_problems(loader, index, sizes))

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
        looks = list(threads.map(look, range(len(val))))
    check(Found(lost=[one for problems in looks for one in problems]))


def _problems(loader: LoadFirst, index: int, sizes: bool) -> Iterator[str]:
    """List what is wrong with the files of one image."""
    image = image_file(loader.dataset, index)
    if not os.path.exists(image):
        yield (
            f'{image}: the file is missing; restore it, or take it out of '
            'data.val'
        )
    if 'ann' not in loader.dataset.img_infos[index]:
        return
    path = loader.annotation_file(index)
    if not os.path.exists(path):
        yield (
            f'{path}: the annotation is missing; restore the file, or '
            'correct data.val.ann_dir and seg_map_suffix'
        )
        return
    with suppress(Exception):  # what Pillow cannot read is read later
        with Image.open(image) as one, Image.open(path) as other:
            wanted, found = one.size, other.size
        if sizes and sorted(wanted) != sorted(found):
            yield (
                f'{path}: wanted class ids of the size of the image, (H, W) '
                f'= {wanted[::-1]}, got {found[::-1]}; correct '
                'data.val.ann_dir, or convert the annotations'
            )
