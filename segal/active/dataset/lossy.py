"""Refuse annotations in lossy formats, which change class ids.

A JPEG of a label map has wrong ids wherever two classes meet. Most of them
are valid class ids, so only the file format shows the fault.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmseg.datasets.pipelines import LoadAnnotations
from numpy.typing import NDArray
from PIL import Image

from segal.active.label_store.ids import ids_in
from segal.errors import DataError

_HEAD = 4096
_TIFF_COMPRESSION = 259
_LOSSY_TIFF = {
    **dict.fromkeys((6, 7, 34892), 'a JPEG in a TIFF'),
    **dict.fromkeys((33003, 33005, 34712), 'a JPEG 2000 in a TIFF'),
    50001: 'a WebP in a TIFF',
}
_LOSSY_BOXES = {
    b'avif': 'an AVIF', b'avis': 'an AVIF', b'heic': 'a HEIC',
    b'heix': 'a HEIC', b'mif1': 'a HEIF', b'msf1': 'a HEIF',
}  # fmt: skip
"""Brands of file formats that are nearly always lossy."""


def lossy_format(path: str | Path) -> str | None:
    """Name the format of an image file, as ``'a JPEG'``, if it is lossy.

    The format is read from the content, not from the suffix. None if the
    format is lossless or unknown, or the file is not on this disk.
    """
    try:
        with open(path, 'rb') as file:
            head = file.read(_HEAD)
    except OSError:
        return None
    if head[:3] == b'\xff\xd8\xff':
        return 'a JPEG'
    if head[:4] == b'RIFF' and head[8:12] == b'WEBP':
        return 'a lossy WebP' if _is_lossy_webp(Path(path), head) else None
    if head[4:8] == b'ftyp':
        return _LOSSY_BOXES.get(head[8:12])
    if head[4:8] == b'jP  ' or head[:4] == b'\xff\x4f\xff\x51':
        at = head.find(b'\xff\x52')  # marker of the wavelet coding
        lossy = head[at + 13 : at + 14] == b'\0'
        return 'a lossy JPEG 2000' if lossy else None
    if head[:4] in (b'II*\0', b'MM\0*'):
        try:
            with Image.open(path) as picture:
                tags: Any = picture.tag_v2  # type: ignore[attr-defined]
                return _LOSSY_TIFF.get(tags.get(_TIFF_COMPRESSION))
        except (
            OSError,
            AttributeError,
            ValueError,
            Image.DecompressionBombError,
        ):
            return None
    return None


def _is_lossy_webp(path: Path, head: bytes) -> bool:
    """Check whether the picture in a WebP is lossy."""
    if head[12:16] != b'VP8X':
        return head[12:16] == b'VP8 '
    content, at = path.read_bytes(), 12
    while at + 8 <= len(content):
        kind = content[at : at + 4]
        if kind in (b'VP8 ', b'VP8L'):
            return kind == b'VP8 '
        size = int.from_bytes(content[at + 4 : at + 8], 'little')
        at += 8 + size + size % 2
    return False


def check_lossless(
    path: str, truth: NDArray[np.integer], reader: object, classes: int
) -> None:
    """Refuse an annotation whose format changed its class ids.

    A user's own reader that returns fewer ids than the file has, such as one
    that thresholds grey values, is trusted.

    Raises:
        DataError: The format is lossy, such as JPEG.
    """
    kind = lossy_format(path)
    if kind is None:
        return
    found = len(ids_in(truth))
    if type(reader).__call__ is not LoadAnnotations.__call__:
        stored = cv2.imread(path, cv2.IMREAD_UNCHANGED)
        if stored is not None and found < len(ids_in(stored)):
            return
    raise DataError(
        f'{path}: wanted class ids as they were annotated, in a format that '
        f'keeps them; got {kind}, which changes them where classes meet: '
        f'{found} ids were found where {classes} classes and void are '
        'expected. Write the annotations as PNG, from their originals: a '
        'converted JPEG keeps its wrong ids'
    )
