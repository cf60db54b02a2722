"""``work_dir/pool.json``: what tools need to know of a pool."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from segal.errors import DataError, StateError
from segal.structures import PoolImage

from .label_folder import LabelFolder
from .label_store import LabelStore


@dataclass
class PoolFile:
    """What ``pool.json`` says.

    Attributes:
        images: In the pool's order.
        files: Image name -> its file.
        classes: Names of the C classes.
        palette: uint8 (C, 3), RGB; grey where the data set has no colour.
    """

    images: list[PoolImage]
    files: dict[str, Path]
    classes: list[str]
    palette: NDArray[np.uint8]

    def read(self, name: str) -> NDArray[np.uint8]:
        """An image, uint8 (H, W, 3) RGB.

        Raises:
            DataError: It cannot be read.
        """
        try:
            with Image.open(self.files[name]) as picture:
                turned = ImageOps.exif_transpose(picture).convert('RGB')
                pixels = np.asarray(turned)
        except OSError as error:
            raise DataError(
                f'{self.files[name]}: wanted the image {name!r}, got {error}; '
                'put it back, or leave the pictures out with --images 0'
            ) from error
        size = next(one.size for one in self.images if one.name == name)
        if pixels.shape[:2] != size:
            raise DataError(
                f'{self.files[name]}: wanted {size[0]}x{size[1]} pixels, as '
                f'when the experiment began, got {pixels.shape[0]}x'
                f'{pixels.shape[1]}; put the image back, or leave the '
                'pictures out with --images 0'
            )
        return pixels


def read_pool(work_dir: Path) -> PoolFile:
    """``work_dir/pool.json``.

    Raises:
        StateError: It is missing or cannot be understood.
    """
    path = work_dir / 'pool.json'
    if not path.is_file():
        raise StateError(
            f'{path}: wanted the work_dir of an experiment, which has this '
            'file; got a folder without it'
            if work_dir.is_dir()
            else f'{work_dir}: wanted the work_dir of an experiment; there is '
            'no such folder'
        )
    try:
        content = json.loads(path.read_text())
        rows = content['images']
        classes = list(content['classes'])
        palette = np.asarray(content['palette'], np.uint8).reshape(-1, 3)
        grey = np.full((max(0, len(classes) - len(palette)), 3), 153, np.uint8)
        return PoolFile(
            [
                PoolImage(row['name'], (row['size'][0], row['size'][1]))
                for row in rows
            ],
            {row['name']: Path(row['file']) for row in rows},
            classes,
            np.concatenate([palette, grey]),
        )
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise StateError(
            f'{path}: wanted images, classes and palette, got a file that '
            f'cannot be read as that ({type(error).__name__}: {error}); the '
            'next start of the experiment writes it anew'
        ) from error


def open_store(work_dir: Path, pool: PoolFile) -> LabelStore:
    """The label store of whichever experiment wrote a work_dir.

    Raises:
        StateError: There are no label files, or they are hurt.
    """
    store = LabelStore(work_dir / 'labels', pool.images)
    if not store.rounds:
        first = LabelFolder(store.folder).file(0)
        raise StateError(
            f'{first}: wanted the first label file, got none; nothing was '
            'bought here yet'
        )
    return store
