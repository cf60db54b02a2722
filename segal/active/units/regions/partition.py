from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from segal.active.units.base import Fit
from segal.active.units.region import Found, Region, Ties, Wanted
from segal.structures import PoolImage


class Partition(Region):
    """Regions that never overlap: every pixel of an image is in one.

    A subclass writes :meth:`labels` alone. The number of a region is its
    label.
    """

    def labels(self, image: PoolImage) -> NDArray[np.int64]:
        """Cut an image into regions.

        Returns:
            int64 (H, W), the region of each pixel, from 0 without gaps; the
            same every time.
        """
        raise NotImplementedError

    def typical_pixels(self, image: PoolImage) -> int:
        """See the base."""
        return image.pixels // self.fit(image).most

    def fit(self, image: PoolImage, count: bool = True) -> Fit:
        """See the base."""
        number = int(self.labels(image).max()) + 1
        return Fit(number, number, True)

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
        """See the base."""
        labels = self.labels(image)
        flat = labels.reshape(-1)
        count = int(flat.max()) + 1
        sizes = np.bincount(flat[askable.reshape(-1)], minlength=count)
        free = sizes > 0
        free[np.unique(flat[asked.reshape(-1)])] = False
        values: NDArray
        if aggregate == 'one':
            first = np.unique(flat, return_index=True)[1]
            values = score.reshape(-1)[first]
        elif aggregate == 'max':
            values = np.asarray(
                ndimage.maximum(
                    np.where(askable, score, -np.inf), labels, range(count)
                )
            )
        else:
            values = np.bincount(
                flat, np.where(askable, score, 0).reshape(-1), count
            )
            if aggregate == 'mean':
                values = values / np.maximum(sizes, 1)
        values = values.astype(np.float32)
        numbers = np.flatnonzero(free & (values >= wanted.least))
        order = numbers[np.lexsort((ties(numbers), -values[numbers]))]
        enough = np.cumsum(sizes[order]) - sizes[order] >= wanted.pixels
        order = order[~enough][: wanted.regions]
        return Found(order, values[order], sizes[order])

    def pixels(
        self, image: PoolImage, numbers: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """See the base."""
        flat = self.labels(image).reshape(-1)
        owner = np.full(int(flat.max()) + 1, -1, np.int32)
        owner[numbers] = np.arange(len(numbers), dtype=np.int32)
        found = owner[flat]
        places = np.flatnonzero(found >= 0)
        return places, found[places]
