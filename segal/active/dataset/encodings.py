"""Refuse annotations whose files store the same class under several ids.

Each such file is valid on its own. The fault shows between two of them, or in
pages that no reader looks at.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from mmseg.datasets.pipelines import LoadAnnotations
from PIL import Image

from segal.active.images.file import count_pages, open_tiff
from segal.errors import DataError

_ANEW = 'write the annotations anew, as 8-bit grey PNGs, from their originals'


class Encodings:
    """Check that the annotations of a data set store class ids alike.

    Programs that make PNGs smaller sort palettes anew, file by file, and turn
    a map of 0 and 255 into one of 1 bit, which is read as 0 and 1. Greys of 2
    and 4 bits are spread over 0 to 255 by every reader.
    """

    def __init__(self) -> None:
        self._places: dict[tuple[int, ...], tuple[int, str]] = {}
        self._one_bit = ''
        self._more_bits = ''

    def check(self, path: str | Path) -> None:
        """Check a file, and compare it with those before.

        Only a file on this disk is read; one that cannot be read is passed
        over.

        Raises:
            DataError: It has several pages, its ids are multiplied when they
                are read, or they mean other classes than the same ids in
                another file.
        """
        path = str(path)
        try:
            pages = _pages(path)
            with Image.open(path) as image:
                mode = image.mode
                bits = _spread_bits(image)
                looks = mode == 'P' or (mode == 'L' and not self._more_bits)
                ids = np.unique(np.asarray(image)) if looks else None
                palette = image.getpalette() if mode == 'P' else None
        except Exception:  # a damaged file can make Pillow raise anything
            return  # the reader reports it
        if pages > 1:
            raise DataError(
                f'{path}: wanted one map of class ids, got a file with '
                f'{pages} pages of one size, of which only the first would '
                'be read; write one map, such as the argmax over one-hot '
                'pages, as an 8-bit PNG'
            )
        if bits:
            factor = 255 // (2**bits - 1)
            raise DataError(
                f'{path}: wanted class ids in 8 bits, got greys of {bits} '
                f'bits, which are read as {factor} times what is stored (1 as '
                f'{factor}); write the annotations anew, as 8-bit grey PNGs'
            )
        if ids is not None and palette:
            self._check_palette(path, ids.tolist(), palette)
        if mode == '1':
            self._one_bit = self._one_bit or path
        elif ids is not None and ids.max() > 1:
            self._more_bits = self._more_bits or path
        if self._one_bit and self._more_bits:
            raise DataError(
                f'{self._one_bit}: wanted annotations of equal depth, got 1 '
                f'bit, read as ids 0 and 1, while {self._more_bits} has 8: 1 '
                f'may have been 255 before the file was made smaller; {_ANEW}'
            )

    def _check_palette(
        self, path: str, ids: list[int], palette: list[int]
    ) -> None:
        """Check that colours in use have the ids that other files give them.

        A colour at several ids of one file tells nothing.
        """
        colours = {
            i: tuple(palette[3 * i : 3 * i + 3])
            for i in ids
            if 3 * i < len(palette)
        }
        used = list(colours.values())
        for i, colour in colours.items():
            if used.count(colour) > 1:
                continue
            other, where = self._places.setdefault(colour, (i, path))
            if other != i:
                raise DataError(
                    f'{path}: wanted palettes with the same colour for the '
                    f'same class id, got the colour {colour} at id {i} here '
                    f'and at id {other} in {where}; {_ANEW} (where the ids '
                    'are right, save them as they are, without palettes)'
                )


def reads_by_pillow(reader: Any) -> bool:
    """Check whether a step reads annotations as mmseg does by default."""
    return (
        type(reader).__call__ is LoadAnnotations.__call__
        and reader.imdecode_backend == 'pillow'
    )


def _spread_bits(image: Image.Image) -> int:
    """Return the bits of a grey image whose values Pillow multiplies, or 0.

    The ``image`` is not loaded yet.
    """
    for _, _, _, how in getattr(image, 'tile', ()):
        raw = how if isinstance(how, str) else how[0]
        if raw[:4] in ('L;2', 'L;4', 'L;2I', 'L;4I'):
            return int(raw[2])
    return 0


def _pages(path: str) -> int:
    """Count the pages of an image; see :func:`count_pages`."""
    with Image.open(path) as image:
        if image.format != 'TIFF' or getattr(image, 'n_frames', 1) == 1:
            return 1
    with open_tiff(path) as file:
        return count_pages(file)
