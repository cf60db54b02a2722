"""Read the bit depth of an image file from its first bytes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tifffile

_EIGHT = (b'\xff\xd8\xff', b'BM', b'GIF8')
"""JPEG, BMP and GIF have no more."""

TIFF = (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')


def has_eight_bits(path: str) -> bool | None:
    """Check whether each channel of a file has at most 8 bits.

    Returns:
        None where it is not there, or of a format that is not known here.
    """
    try:
        with open(path, 'rb') as file:
            head = file.read(26)
    except OSError:
        return None
    if head.startswith(b'\x89PNG'):
        return head[24:25] != b'\x10'
    if head.startswith(_EIGHT) or head[8:12] == b'WEBP':
        return True
    if head.startswith(TIFF):
        return _tiff(path)
    return None


def _tiff(path: str) -> bool | None:
    """Check whether each channel of a TIFF has at most 8 bits."""
    read: Callable[..., tifffile.TiffFile] = tifffile.TiffFile
    try:
        with read(path) as file:
            dtype = file.pages[0].dtype
    except (OSError, ValueError, IndexError, tifffile.TiffFileError):
        return None
    return dtype is not None and np.dtype(dtype).itemsize == 1
