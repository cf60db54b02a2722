"""Read the frozen request of a round, item by item."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from segal.active.label_store.file import LabelFile, decode, sha256
from segal.errors import StateError
from segal.files import checksum
from segal.structures import Selection

Kind = Literal['pixel', 'region', 'image']
Wanted = Literal['class', 'mask']


@dataclass(frozen=True)
class Item:
    """One thing that a person is asked.

    Attributes:
        index: Its number in the request, from 0.
        image: Name of the image.
        size: (H, W) of the image.
        kind: What is shown.
        answer: ``'class'``: one class for all of it; ``'mask'``: a class for
            each pixel.
        places: int64 (N,), sorted flat indices; empty for a whole image.
        box: Top, left, height, width of the smallest rectangle around it.
        score: Of the selection, the highest of its places; None where the
            round was drawn without scores.
    """

    index: int
    image: str
    size: tuple[int, int]
    kind: Kind
    answer: Wanted
    places: NDArray[np.int64]
    box: tuple[int, int, int, int]
    score: float | None

    @property
    def inside(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows and columns of the places within the box, each (N,)."""
        rows, columns = np.divmod(self.places, self.size[1])
        return rows - self.box[0], columns - self.box[1]


class Request:
    """What one round asks, as it was frozen before anyone was asked.

    It is a label file (:mod:`segal.active.label_store.file`) in which nothing
    is answered. Items are numbered by image in the order of the pool, within
    an image by place or region.

    Args:
        content: The file.
        digest: SHA-256 of its bytes, which names the request everywhere.
    """

    def __init__(self, content: LabelFile, digest: str) -> None:
        self.content = content
        self.sha256 = digest
        self.round = content.round
        self.unit: Kind = 'region' if len(content.regions) else content.unit
        masks = content.whole or (
            self.unit == 'region' and content.answer == 'all'
        )
        self.answer: Wanted = 'mask' if masks else 'class'

    @classmethod
    def read(cls, path: Path) -> Request:
        """Read a request.

        Raises:
            StateError: The file is missing, truncated or altered.
        """
        try:
            data = path.read_bytes()
            return cls(decode(path, data), sha256(data))
        except (OSError, StateError) as error:
            raise StateError(
                f'{path}: wanted the request of a round as it was frozen, got '
                f'a file that cannot be read as that ({error}); restore '
                f'{path.parent} from a copy'
            ) from error

    @cached_property
    def _groups(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Sort the places by item.

        Returns:
            Order of the places, int64 (N,); and where each item begins in it,
            int64 (items + 1,).
        """
        content, count = self.content, len(self.content.places)
        if self.unit == 'pixel':
            return np.arange(count), np.arange(count + 1)
        image = np.repeat(
            np.arange(len(content.images)), np.diff(content.offsets)
        )
        order = np.lexsort((content.places, content.regions, image))
        keys = image[order] * (1 << 32) + content.regions[order]
        starts = np.flatnonzero(np.diff(keys, prepend=-1))
        return order, np.append(starts, count)

    def __len__(self) -> int:
        if self.unit == 'image':
            return len(self.content.images)
        return len(self._groups[1]) - 1

    @cached_property
    def images(self) -> NDArray[np.int64]:
        """Position of each item's image in ``content.images``, int64 (N,)."""
        if self.unit == 'image':
            return np.arange(len(self))
        order, starts = self._groups
        first = order[starts[:-1]]
        return np.searchsorted(self.content.offsets, first, 'right') - 1

    def image_of(self, index: int) -> int:
        """Return the position of an item's image in ``content.images``."""
        return int(self.images[index])

    def positions(self, index: int) -> NDArray[np.int64]:
        """Return where an item's places lie in ``content.places``: (N,)."""
        if self.unit == 'image':
            return np.empty(0, np.int64)
        order, starts = self._groups
        return order[starts[index] : starts[index + 1]]

    def __getitem__(self, index: int) -> Item:
        if not 0 <= index < len(self):
            raise IndexError(f'wanted an item 0 to {len(self) - 1}: {index}')
        content = self.content
        name, height, width = content.images[self.image_of(index)]
        positions = self.positions(index)
        places = content.places[positions].astype(np.int64)
        box = (0, 0, height, width)
        if len(places):
            rows, columns = np.divmod(places, width)
            top, left = int(rows[0]), int(columns.min())
            box = (
                top,
                left,
                int(rows[-1]) - top + 1,
                int(columns.max()) - left + 1,
            )
        score = None
        if len(content.scores):
            at = [index] if self.unit == 'image' else positions
            score = float(content.scores[at].max())
        return Item(
            index,
            name,
            (height, width),
            self.unit,
            self.answer,
            places,
            box,
            score,
        )

    def __iter__(self) -> Iterator[Item]:
        return (self[index] for index in range(len(self)))

    def selection(self) -> Selection:
        """Return the selection that was frozen, with its scores."""
        return self.content.selection()


def digest(classes: Sequence[str], images: Iterable[Path]) -> str:
    """Compute a digest of classes and image files: 16 hexadecimal digits.

    Names and sizes are those of other images, too, where a camera counts
    anew. Answers to these are then no answers to the request.
    """
    sums = [(path.stat().st_size, checksum(path)) for path in images]
    text = json.dumps([list(classes), sums])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
