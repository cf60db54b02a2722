"""Check the masks that pages send, before anything is decoded."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segal.annotation.crops import encode_png
from segal.annotation.request import Item

NO_CLASS = 255
SPARE_BYTES = 64 * 1024
"""A mask may have that many more bytes than pixels."""

_SIGNATURE = b'\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR'
_FORM = (8, 0, 0)
"""Bits, colour type (grey) and interlacing (none)."""


def most_bytes(item: Item) -> int:
    """Return how many bytes a mask of an item may have."""
    return item.box[2] * item.box[3] + SPARE_BYTES


def decode_mask(png: bytes, item: Item) -> NDArray[np.uint8]:
    """Decode a mask of an item.

    Args:
        png: 8-bit grey, not interlaced, of the size of the item's box.
        item: What it answers.

    Returns:
        uint8 (h, w).

    Raises:
        ValueError: It is another file, of another size, or truncated.
    """
    if png[:16] != _SIGNATURE or len(png) < 33:
        raise ValueError('wanted a PNG file')
    width, height, *form = struct.unpack('>II5B', png[16:29])
    if (form[0], form[1], form[4]) != _FORM:
        raise ValueError('wanted an 8-bit grey PNG that is not interlaced')
    if (height, width) != item.box[2:]:
        raise ValueError(
            f'wanted {item.box[2]}x{item.box[3]} pixels (height, width), as '
            f'the box of the item, got {height}x{width}'
        )
    if not is_whole(png, height * (width + 1)):
        raise ValueError('wanted a whole PNG file of that size')
    try:
        with Image.open(io.BytesIO(png), formats=['PNG']) as image:
            mask = np.array(image)
    except Exception:  # whatever a broken file makes of a decoder
        raise ValueError('wanted a PNG file that can be decoded') from None
    if mask.shape != (height, width) or mask.dtype != np.uint8:
        raise ValueError('wanted one 8-bit grey value for each pixel')
    return mask


def is_whole(png: bytes, size: int) -> bool:
    """Check that the chunks of a PNG unpack to so many bytes.

    Decoders take what is missing for zeros, which would be answers.
    """
    unpack, found, at, kind = zlib.decompressobj(), 0, 8, b''
    try:
        while kind != b'IEND':
            length, kind = struct.unpack('>I4s', png[at : at + 8])
            end = at + 8 + length
            (crc,) = struct.unpack('>I', png[end : end + 4])
            if crc != zlib.crc32(png[at + 4 : end]):
                return False
            if kind == b'IDAT':
                left = unpack.unconsumed_tail + png[at + 8 : end]
                found += len(unpack.decompress(left, size - found + 1))
                if found > size:
                    return False
            at = end + 4
    except (struct.error, zlib.error):
        return False
    return found == size and unpack.eof


def clean_mask(png: bytes, item: Item, classes: int) -> bytes:
    """Check a mask, and write it anew with what counts of it.

    Returns:
        A PNG with class ids, and 255 where there is no class or the place is
        not asked. The same answer makes the same bytes.

    Raises:
        ValueError: It is no such mask.
    """
    return encode_mask(decode_mask(png, item), item, classes)


def encode_mask(mask: NDArray[np.uint8], item: Item, classes: int) -> bytes:
    """Check the values of a mask, and write what counts of it.

    Args:
        mask: uint8 (h, w), of the size of the item's box.
        item: What it answers.
        classes: How many there are.

    Returns:
        See :func:`clean_mask`.

    Raises:
        ValueError: It holds other values, or has another size.
    """
    if mask.shape != item.box[2:] or mask.dtype != np.uint8:
        raise ValueError(
            f'wanted uint8 {item.box[2:]}, got {mask.dtype} {mask.shape}'
        )
    kept = mask
    if item.kind == 'region':
        kept = np.full_like(mask, NO_CLASS)
        kept[item.inside] = mask[item.inside]
    alien = kept[(kept >= classes) & (kept != NO_CLASS)]
    if len(alien):
        raise ValueError(
            f'wanted class ids from 0 to {classes - 1}, and {NO_CLASS} for '
            f'none, got {int(alien[0])}'
        )
    return encode_png(kept)
