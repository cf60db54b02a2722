"""Keep decoded images in memory that the workers of a loader share."""

from __future__ import annotations

import mmap
import multiprocessing
import os.path as osp
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmseg.datasets import CustomDataset
from mmseg.datasets.pipelines import LoadImageFromFile
from numpy.typing import NDArray

from segal.active.dataset.base import LoadFirst

_FIRST, _HEIGHT, _WIDTH, _CHANNELS, _WHOLE = range(5)
"""Columns of the index: where an image begins, its shape, whether it is
there. Channels are 0 for a map."""


class ImageCache:
    """Decoded images, uint8, in memory that forked processes share.

    An image is kept when it is first decoded, by whichever worker, until the
    budget is spent; what no longer fits is decoded each time. Make it before
    the workers are forked. Pages that nothing was written to take no memory.

    Args:
        files: Names of the images, as ``img_info`` has them.
        budget: Bytes.
    """

    def __init__(self, files: Sequence[str], budget: int) -> None:
        self._position = {file: i for i, file in enumerate(files)}
        self._memory = np.frombuffer(mmap.mmap(-1, budget), np.uint8)
        rows = len(self._position) + 1
        shared = mmap.mmap(-1, rows * 5 * 8)
        self._index = np.frombuffer(shared, np.int64).reshape(rows, 5)
        # The last row counts the bytes that are given away.
        self._lock = multiprocessing.get_context('fork').Lock()

    @property
    def used(self) -> int:
        """Count the bytes that images take."""
        return int(self._index[-1, 0])

    def get(self, file: str) -> NDArray[np.uint8] | None:
        """Return a copy of a kept image, (H, W) or (H, W, C); else None."""
        row = self._row(file)
        if row is None:
            return None
        with self._lock:  # what another process wrote is seen behind it
            if not row[_WHOLE]:
                return None
        shape = self._shape(row)
        first = int(row[_FIRST])
        size = int(np.prod(shape))
        return self._memory[first : first + size].reshape(shape).copy()

    def put(self, file: str, image: NDArray[Any]) -> None:
        """Keep an image, if it is one of bytes and there is room."""
        row = self._row(file)
        if row is None or image.dtype != np.uint8 or image.ndim not in (2, 3):
            return
        with self._lock:
            first = self.used
            if row[_HEIGHT] or first + image.size > len(self._memory):
                return  # another process is writing it, or it is too large
            self._index[-1, 0] = first + image.size
            channels = image.shape[2] if image.ndim == 3 else 0
            row[:_WHOLE] = (first, *image.shape[:2], channels)
        self._memory[first : first + image.size] = image.reshape(-1)
        with self._lock:
            row[_WHOLE] = 1

    def _row(self, file: str) -> NDArray[np.int64] | None:
        position = self._position.get(file)
        return None if position is None else self._index[position]

    @staticmethod
    def _shape(row: NDArray[np.int64]) -> tuple[int, ...]:
        shape = tuple(map(int, row[_HEIGHT:_WHOLE]))
        return shape if shape[2] else shape[:2]


class CachedLoad:
    """Load an image as mmseg's step does, from the cache where it is there."""

    def __init__(self, step: LoadImageFromFile, cache: ImageCache) -> None:
        self.step = step
        self.cache = cache

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the image, and what mmseg says of it, to the results."""
        file = results['img_info']['filename']
        image = self.cache.get(file)
        if image is None:
            results = self.step(results)
            self.cache.put(file, results['img'])
            return results
        folder = results.get('img_prefix')
        results['filename'] = (
            file if folder is None else osp.join(folder, file)
        )
        results['ori_filename'] = file
        results['img'] = image
        for key in ('img_shape', 'ori_shape', 'pad_shape'):
            results[key] = image.shape
        results['scale_factor'] = 1.0
        channels = 1 if image.ndim < 3 else image.shape[2]
        results['img_norm_cfg'] = dict(
            mean=np.zeros(channels, np.float32),
            std=np.ones(channels, np.float32),
            to_rgb=False,
        )
        return results


def check_cached(view: CustomDataset) -> list[str]:
    """Check that the images of the pool's training view can be kept."""
    steps = LoadFirst(view, 'data.train').load
    if caches(steps):
        return []
    return [
        "speed.image_cache: wanted mmseg's LoadImageFromFile, of bytes, as "
        'the first step of the pipeline of data.train, got '
        f'{steps[0] if steps else None}; leave image_cache out'
    ]


def caches(steps: Sequence[Any]) -> bool:
    """Check that the images of some loading steps can be kept.

    mmseg's own step reads them, as bytes, and is the first one.
    """
    return (
        bool(steps)
        and type(steps[0]) is LoadImageFromFile
        and not steps[0].to_float32
    )
