"""Compare the bands of a TIFF with the channels that a loader makes of it.

OpenCV takes a fourth band for alpha and multiplies the colours by it, or
mixes several grey bands into one, and makes 255 of -1, without a word.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segal.active.images.file import (
    ORIENTATION,
    TIFF,
    count_pages,
    open_tiff,
)

_GREY, _RGB = 1, 2
"""Photometric interpretations of which channels are bands as stored."""

_UNASSOCIATED = 2
"""Kind of an extra sample: alpha that colours were not multiplied by."""

_PLANAR = 2
"""Configuration of a page in which bands lie one after the other."""

_EXACT = (1, 5, 8, 32773, 32946, 50000)
"""Compressions without loss: none, LZW, deflate, PackBits and Zstandard."""


class Bands(NamedTuple):
    """What the header of a TIFF says of its bands.

    Attributes:
        number: How many its first page has.
        extra: Kinds of those beyond grey or colour.
        pages: Pages of the size of the first.
        type: Of a value.
        comparable: Whether its values are stored without loss, upright, as
            grey or colour.
    """

    number: int
    extra: tuple[int, ...]
    pages: int
    type: str
    comparable: bool

    @property
    def signed(self) -> bool:
        """Tell whether values may be negative, and are whole numbers."""
        return self.type.startswith('int')

    @property
    def multiplies(self) -> bool:
        """Tell whether OpenCV multiplies colours by the last band."""
        return self.number == 4 and self.extra == (_UNASSOCIATED,)


def bands_of(path: str | Path) -> Bands | None:
    """Read the header of a TIFF; None of another or a damaged file."""
    try:
        with open(path, 'rb') as file:
            if file.read(4) not in TIFF:
                return None
        with open_tiff(path) as tiff:
            first: Any = tiff.pages[0]
            return Bands(
                int(first.samplesperpixel),
                tuple(int(one) for one in first.extrasamples),
                count_pages(tiff),
                str(first.dtype),
                first.photometric in (_GREY, _RGB)
                and first.compression in _EXACT
                and getattr(first.tags.get(ORIENTATION), 'value', 1) == 1,
            )
    except Exception:  # whatever a damaged file makes of the reader
        return None


def compare_bands(
    path: str | Path, bands: Bands, image: NDArray[Any]
) -> tuple[int, bool]:
    """Compare what a loader made of a TIFF with its bands.

    Where tifffile cannot unpack the file, the number of different channels
    and the kind of the last band have to tell.

    Args:
        path: Of the file.
        bands: What its header says.
        image: What the loader made of it, (H, W) or (H, W, C).

    Returns:
        How many bands are among the channels, as they are or as the upper 8
        of their bits; and whether all channels are bands.
    """
    channels = np.moveaxis(image.reshape(*image.shape[:2], -1), 2, 0)
    try:
        with open_tiff(path) as tiff:
            page: Any = tiff.pages[0]
            stored = page.asarray()
        if stored.ndim == 2:
            stored = stored[None]
        elif page.planarconfig != _PLANAR:
            stored = np.moveaxis(stored, 2, 0)  # (B, H, W)
    except Exception:  # a compression that needs another package
        different = {channel.tobytes() for channel in channels}
        mixed = bands.multiplies and image.dtype == np.uint8
        return min(len(different), bands.number), not mixed
    same = np.array([[_same(x, y) for y in stored] for x in channels])
    return int(same.any(0).sum()), bool(same.any(1).all())


def _same(channel: NDArray[Any], band: NDArray[Any]) -> bool:
    """Compare a channel with a band, or with its upper 8 bits."""
    if channel.dtype != np.uint8 or band.dtype.kind not in 'ui':
        return np.array_equal(channel, band)
    upper = band >> 8 * (band.itemsize - 1)
    apart = np.abs(channel.astype(np.int64) - upper.astype(np.int64))
    return bool(apart.max() <= (band.itemsize > 1))
