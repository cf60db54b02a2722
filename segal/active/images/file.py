"""Read images of a pool without its config, for tools that run no code."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray

MARK = 'segal-orientation'
"""Text in a PNG that was labelled here: ``UPRIGHT`` or ``STORED``."""

UPRIGHT, STORED = 'upright', 'stored'
"""How the image was shown: as its EXIF orientation says, or not turned."""


@dataclass(frozen=True)
class Loader:
    """The options of a pipeline's ``LoadImageFromFile``.

    Attributes:
        color_type: As there.
        imdecode_backend: As there.
        to_float32: As there.
        own: Name of a loader of the user's own in its place; empty where
            there is none.
    """

    color_type: str = 'color'
    imdecode_backend: str | None = 'cv2'
    to_float32: bool = False
    own: str = ''


def loader_of(steps: Sequence[Any]) -> Loader:
    """Read the options of a pipeline's loading steps."""
    from mmseg.datasets.pipelines import LoadImageFromFile

    if len(steps) == 1 and type(steps[0]) is LoadImageFromFile:
        step = steps[0]
        return Loader(step.color_type, step.imdecode_backend, step.to_float32)
    return Loader(own=' + '.join(type(step).__name__ for step in steps))


def decode(path: Path, size: Sequence[int], loader: Loader) -> NDArray[Any]:
    """Read an image file.

    Args:
        path: The file.
        size: (H, W) that it shall have.
        loader: How the run read it. What a loader of the user's own makes is
            guessed: an array of NumPy, all bands of a TIFF, else every
            channel that OpenCV gives; channels first or last.

    Returns:
        (H, W) or (H, W, C).

    Raises:
        OSError: It cannot be read.
        ValueError: It cannot be decoded.
    """
    data = path.read_bytes()
    image: NDArray[Any] | None
    if not loader.own:
        if (loader.color_type, loader.imdecode_backend) == ('color', 'cv2'):
            # as mmcv does, which takes seconds to import
            coded = np.frombuffer(data, np.uint8)
            image = cv2.imdecode(coded, cv2.IMREAD_COLOR)
        else:
            import mmcv

            image = mmcv.imfrombytes(
                data, flag=loader.color_type, backend=loader.imdecode_backend
            )
        if image is None:
            raise ValueError('a file that cannot be decoded as an image')
        return image.astype(np.float32) if loader.to_float32 else image
    said = f'one that {loader.own} alone can read'
    if data.startswith(b'\x93NUMPY'):
        image = np.load(io.BytesIO(data), allow_pickle=False)
    elif path.suffix.lower() in ('.tif', '.tiff'):
        import tifffile

        image = tifffile.imread(io.BytesIO(data))  # type: ignore[no-untyped-call]
    else:
        import mmcv

        image = mmcv.imfrombytes(data, flag='unchanged')
    if image is None or image.ndim not in (2, 3):
        raise ValueError(said)
    if image.ndim == 3 and image.shape[:2] != tuple(size):
        image = np.moveaxis(image, 0, -1)  # channels came first
    if image.shape[:2] != tuple(size):
        raise ValueError(said)
    return image


def decoded_otherwise(path: str, steps: Sequence[Any]) -> str:
    """Name the decoder options that could read a file.

    Returns:
        To follow what is wrong with it; empty where nothing decodes it.
    """
    if loader_of(steps).own or not Path(path).is_file():
        return ''
    for options in (
        dict(color_type='unchanged'),
        dict(color_type='unchanged', imdecode_backend='tifffile'),
    ):
        loader = Loader(**options)  # type: ignore[arg-type]
        try:
            image = decode(Path(path), (), loader)
        except Exception:
            continue
        words = ', '.join(f'{key}={value!r}' for key, value in options.items())
        return (
            f' with these options; LoadImageFromFile({words}) makes '
            f'{image.dtype} {image.shape} of it'
        )
    return ''


_EIGHT = (b'\xff\xd8\xff', b'BM', b'GIF8')
"""JPEG, BMP and GIF have no more."""

TIFF = (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')

ORIENTATION = 0x0112
"""Tag of how an image is turned, in EXIF and in a TIFF."""


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


def open_tiff(path: str | Path) -> tifffile.TiffFile:
    """Open a TIFF, to be used as a context."""
    read: Callable[..., tifffile.TiffFile] = tifffile.TiffFile
    return read(path)


def count_pages(file: tifffile.TiffFile) -> int:
    """Count the pages of a TIFF that are as large as its first.

    Smaller copies, as maps for viewing have them, do not count.
    """
    pages: Any = file.pages
    return sum(
        page.shape == pages[0].shape and not page.is_reduced for page in pages
    )


def _tiff(path: str) -> bool | None:
    """Check whether each channel of a TIFF has at most 8 bits."""
    try:
        with open_tiff(path) as file:
            dtype = file.pages[0].dtype
    except (OSError, ValueError, IndexError, tifffile.TiffFileError):
        return None
    return dtype is not None and np.dtype(dtype).itemsize == 1
