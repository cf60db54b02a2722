from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segal.structures import PoolImage

Ties = Callable[[NDArray[np.int64]], NDArray[np.uint64]]
"""Numbers of regions int64 (n,) -> their tie keys uint64 (n,)."""

AGGREGATES = ('mean', 'max', 'sum', 'one')
"""How the scores of a region's askable pixels become its score; ``'one'`` is
that of a single pixel of it, as scores that are draws want it."""


class Found(NamedTuple):
    """Regions of one image, best first; no two of them overlap.

    Attributes:
        numbers: int64 (R,), which ones.
        scores: float32 (R,).
        sizes: int64 (R,), their askable pixels, from 1.
    """

    numbers: NDArray[np.int64]
    scores: NDArray[np.float32]
    sizes: NDArray[np.int64]


class Wanted(NamedTuple):
    """When enough regions of an image are found; whichever comes first.

    Attributes:
        regions: So many.
        pixels: So many pixels in them, or more.
        least: The next would have a lower score.
    """

    regions: int = np.iinfo(np.int64).max
    pixels: int = np.iinfo(np.int64).max
    least: float = -np.inf


class Fit(NamedTuple):
    """How many regions of an untouched image can be asked, one by one.

    Attributes:
        least: So many at least, wherever they are chosen.
        most: So many at most.
        exact: Whether both are known; False where they are estimated.
    """

    least: int
    most: int
    exact: bool


class RegionShape(ABC):
    """Cuts images into regions, and finds the best that are free.

    A region may be asked while nothing of it was asked before and something
    of it is askable; asked are its askable pixels. Each has a number that is
    a function of the image alone, from 0 to H * W - 1.

    Attributes:
        reads_images: Whether it is built with ``read_image`` (name -> uint8
            (H, W, 3), RGB), ``file`` (name -> path) and ``cache``, a folder.
    """

    reads_images: ClassVar[bool] = False

    @abstractmethod
    def typical_pixels(self, image: PoolImage) -> int:
        """About how many pixels a region of an image has."""

    def fit(self, image: PoolImage, count: bool = True) -> Fit:
        """How many regions of an image can be asked.

        Args:
            image: Which one.
            count: Whether the image may be read and cut for it, which takes
                a while; else the number may be estimated.
        """
        about = max(1, image.pixels // self.typical_pixels(image))
        return Fit(about, about, False)

    @abstractmethod
    def best(
        self,
        image: PoolImage,
        score: NDArray[np.float32],
        asked: NDArray[np.bool_],
        askable: NDArray[np.bool_],
        aggregate: str,
        ties: Ties,
        wanted: Wanted,
    ) -> Found:
        """Take the best region, drop all that overlap it, and so on.

        Equal scores go by the lower tie key.

        Args:
            image: Which one.
            score: float32 (H, W), finite, higher = label first.
            asked: bool (H, W), where something was asked before.
            askable: bool (H, W), what may be asked; False where ``asked``.
            aggregate: One of ``AGGREGATES``.
            ties: Gives tie keys.
            wanted: When to stop.
        """

    @abstractmethod
    def pixels(
        self, image: PoolImage, numbers: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """What some regions consist of.

        Args:
            image: Which one.
            numbers: int64 (R,), regions of it that do not overlap.

        Returns:
            Flat indices, int64 (n,), sorted; and which region each belongs
            to, as an index into ``numbers``, int32 (n,).
        """

    def room(
        self,
        image: PoolImage,
        asked: NDArray[np.bool_],
        askable: NDArray[np.bool_],
    ) -> bool:
        """Whether there is a region that may be asked.

        Args:
            image: Which one.
            asked: See :meth:`best`.
            askable: See :meth:`best`.
        """
        nothing = np.zeros(image.size, np.float32)
        found = self.best(
            image,
            nothing,
            asked,
            askable,
            'one',
            lambda at: at.astype(np.uint64),
            Wanted(regions=1),
        )
        return len(found.numbers) > 0
