"""Find images with an EXIF orientation, and check their annotations.

mmcv turns such an image when it decodes it, but not its label map.
"""

from __future__ import annotations

import os.path as osp
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import cv2
import numpy as np
import tifffile
from mmcv.fileio.file_client import HardDiskBackend
from mmseg.datasets import CustomDataset
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from segal.active.dataset.base import LoadFirst, image_file
from segal.active.dataset.scan import count_of
from segal.active.images.file import (
    MARK,
    ORIENTATION,
    STORED,
    TIFF,
    UPRIGHT,
    open_tiff,
)
from segal.errors import SegALError

_WORDS = {
    2: 'mirrored',
    3: 'turned by 180 degrees',
    4: 'mirrored upside down',
    5: 'mirrored and turned by 90 degrees',
    6: 'turned by 90 degrees',
    7: 'mirrored and turned by 90 degrees',
    8: 'turned by 90 degrees',
}
_SHOWN = 3
_TRIED = 8
"""Images that are decoded at most, to see whether the loader turns them."""


@dataclass
class Orientations:
    """The EXIF orientations of the images of a data set.

    Attributes:
        found: Position of each image that is not upright -> 2 to 8.
        turns: Whether the loading steps turn them.
        notes: Sentences for the log.
        problems: Sentences on images and annotations that do not match.
    """

    found: dict[int, int] = field(default_factory=dict)
    turns: bool = True
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def look_at_orientations(dataset: Any, key: str) -> Orientations:
    """Find images that EXIF turns, and check that annotations are turned too.

    Only mmseg's data sets on this disk are checked, and only the first bytes
    of each file are read. A turn by 90 degrees shows in the size of a map that
    is not square. Maps whose size shows nothing count as the other maps of
    their data set.
    """
    seen = Orientations()
    if not isinstance(dataset, CustomDataset) or not isinstance(
        dataset.file_client.client, HardDiskBackend
    ):
        return seen
    files = [image_file(dataset, i) for i in range(len(dataset))]
    with ThreadPoolExecutor(min(8, 1 + len(files) // 16)) as threads:
        for index, kind in enumerate(threads.map(orientation, files)):
            if kind != 1:
                seen.found[index] = kind
    if not seen.found:
        return seen
    seen.turns = _turns(dataset, key, seen.found)
    fit, apart, unknown = _compare(dataset, seen)
    does = 'turns' if seen.turns else 'does not turn'
    carried = f'with an EXIF orientation, and the pipeline {does} them'
    if apart or (unknown and seen.turns and not fit):
        worst = apart or unknown
        why = (
            'their annotations have the other orientation'
            if apart
            else 'nothing tells whether their annotations are turned as well'
        )
        seen.problems.append(
            f'{key}: got {count_of(worst, "image")} {carried}, while {why}: '
            f'{_named(files, worst, seen.found)}; '
            + (
                ''
                if not seen.turns
                else 'where annotations are of the stored pixels, take the '
                'tag out of the TIFFs; '
                if any(_is_tiff(files[i]) for i in worst)
                else 'where annotations are of the stored pixels, write '
                "dict(type='LoadImageFromFile', "
                "color_type='color_ignore_orientation') in every pipeline; "
            )
            + 'where they are of the upright image, save the images upright '
            'and without the flag (PIL.ImageOps.exif_transpose)'
        )
    else:
        seen.notes.append(
            f'{count_of(list(seen.found), "image")} {carried}'
            + (', as their annotations are' if seen.turns and fit else '')
            + f': {_named(files, list(seen.found), seen.found)}'
        )
    return seen


def _named(
    files: Sequence[str], which: Sequence[int], found: dict[int, int]
) -> str:
    words = [
        f'{files[i]} (orientation {found[i]}, {_WORDS[found[i]]})'
        for i in which[:_SHOWN]
    ]
    more = len(which) - _SHOWN
    return ', '.join(words) + (f' and {more:,} more' if more > 0 else '')


def _compare(
    dataset: CustomDataset, seen: Orientations
) -> tuple[list[int], list[int], list[int]]:
    """List images with a matching, a wrong and an unclear annotation."""
    fit: list[int] = []
    apart: list[int] = []
    unknown: list[int] = []
    for index, kind in seen.found.items():
        ann = dataset.img_infos[index].get('ann')
        if not ann:
            continue
        path = image_file(dataset, index)
        map_path = osp.join(dataset.ann_dir or '', ann['seg_map'])
        stored, mask = _size(path), _size(map_path)
        if stored is None or mask is None:
            continue  # the reader reports it
        if kind >= 5 and _is_tiff(path):  # Pillow gives the turned size
            stored = stored[::-1]
        if seen.turns and _is_tiff(map_path) and orientation(map_path) == kind:
            fit.append(index)  # every reader turns a TIFF
        elif kind < 5 or stored[0] == stored[1]:
            shown = UPRIGHT if seen.turns else STORED
            told = _mark(map_path)
            (unknown if not told else fit if told == shown else apart).append(
                index
            )
        elif mask == (stored[::-1] if seen.turns else stored):
            fit.append(index)
        elif mask == (stored if seen.turns else stored[::-1]):
            apart.append(index)
    return fit, apart, unknown


def _is_tiff(path: str) -> bool:
    """Check whether a file is a TIFF, which OpenCV and Pillow always turn."""
    try:
        with open(path, 'rb') as file:
            return file.read(4) in TIFF
    except OSError:
        return False


def _size(path: str) -> tuple[int, int] | None:
    """Read (width, height) as stored; of a TIFF, as it is shown."""
    try:
        with Image.open(path) as image:
            return image.size
    except Exception:
        return None


def _mark(path: str) -> str:
    """Read how the image of an annotation was shown; '' if not known."""
    try:
        with Image.open(path) as image:
            return str(image.info.get(MARK, ''))
    except Exception:
        return ''


def _turns(dataset: CustomDataset, key: str, found: dict[int, int]) -> bool:
    """Check whether the loading steps turn images, by their output."""
    for index in list(found)[:_TRIED]:
        try:
            loader = LoadFirst(dataset, key)
            image = np.asarray(loader.load_image(index)['img'], np.float32)
            stored = _stored(image_file(dataset, index))
        except (SegALError, OSError, ValueError, cv2.error):
            continue  # open_pool reports it
        if stored is None:
            continue
        upright = turned(stored, found[index])
        if stored.shape[:2] != upright.shape[:2]:
            return image.shape[:2] == upright.shape[:2]
        if image.shape[:2] != stored.shape[:2]:
            continue
        to_stored, to_upright = (
            float(np.abs(_grey(image) - _grey(other)).mean())
            for other in (stored, upright)
        )
        if to_stored != to_upright:
            return to_upright < to_stored
    return True


def _stored(path: str) -> NDArray[Any] | None:
    """Read an image as stored, without its orientation."""
    if _is_tiff(path):
        read: Callable[..., NDArray[Any]] = tifffile.imread
        return read(path)
    return cv2.imdecode(
        np.fromfile(path, np.uint8),
        cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION,
    )


def _grey(image: NDArray[Any]) -> NDArray[Any]:
    """Compute normalised brightness (H, W)."""
    grey = image.reshape(*image.shape[:2], -1).mean(2, dtype=np.float64)
    return (grey - grey.mean()) / (grey.std() or 1)


def turned(image: NDArray[Any], kind: int) -> NDArray[Any]:
    """Turn a stored image (H, W, ...) by its EXIF orientation, 1 to 8."""
    if kind >= 5:
        image = image.swapaxes(0, 1)
    if kind in (2, 3, 6, 7):
        image = image[:, ::-1]
    if kind in (3, 4, 7, 8):
        image = image[::-1]
    return image


def orientation(path: str) -> int:
    """Read the EXIF orientation of a JPEG, PNG, WebP or TIFF; 1 by default."""
    try:
        with open(path, 'rb') as file:
            if file.read(4) in TIFF:
                return _of_tiff(path)
            file.seek(0)
            data = _exif(file)
        if data is None:
            return 1
        exif = Image.Exif()
        exif.load(data)
        kind = exif.get(ORIENTATION, 1)
    except Exception:  # open_pool reports a damaged file
        return 1
    return kind if kind in _WORDS else 1


def _of_tiff(path: str) -> int:
    with open_tiff(path) as file:
        page: Any = file.pages[0]
        tag = page.tags.get(ORIENTATION)
    return int(tag.value) if tag and tag.value in _WORDS else 1


def _exif(file: BinaryIO) -> bytes | None:
    """Read the EXIF block of a file that is open at its beginning."""
    head = file.read(12)
    if head[:2] == b'\xff\xd8':
        file.seek(0)  # without Image.open, which limits the number of pixels
        return JpegImageFile(file).info.get('exif')
    if head[:8] == b'\x89PNG\r\n\x1a\n':
        file.seek(8)
        while len(head := file.read(8)) == 8 and head[4:] != b'IDAT':
            length = int.from_bytes(head[:4], 'big')
            if head[4:] == b'eXIf':
                return b'Exif\0\0' + file.read(length)
            file.seek(length + 4, 1)
    if head[:4] == b'RIFF' and head[8:] == b'WEBP':
        while len(head := file.read(8)) == 8:
            length = int.from_bytes(head[4:], 'little')
            if head[:4] == b'EXIF':
                return file.read(length)
            file.seek(length + length % 2, 1)
    return None
