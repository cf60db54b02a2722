"""Cut out what a page shows: crops, whole images, regions, superpixels.

Images are decoded in threads, and kept within a bound of bytes. What people
will be shown next is decoded before they ask.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from segal.active.label_store.pool_file import PoolFile
from segal.annotation.request import Item
from segal.errors import SegALError

log = logging.getLogger(__name__)

MOST_BYTES = 160 * 2**20
"""Of decoded images; with all else, superpixels too, under 400 MiB."""
AROUND_PIXEL = 65
"""Side of the square that is shown around a pixel."""

CONTEXT = 1024
"""Longer side of a whole image beside the crop."""

SUPERPIXEL = 256
"""Pixels of one superpixel of the fill tool, about."""

MOST_SUPERPIXELS = 2000
CUT_PIXELS = 2**18
"""A larger crop is cut into superpixels at a lower resolution."""

MOST_QUEUED = 32

Box = tuple[int, int, int, int]
"""Top, left, height, width."""


def crop_box(item: Item) -> Box:
    """Return the part of an image that shows an item well.

    Around a pixel a square, moved to lie within the image; a region with a
    margin; a whole image as it is.
    """
    top, left, height, width = item.box
    if item.kind == 'image':
        return item.box
    if item.kind == 'pixel':
        sizes = [min(AROUND_PIXEL, most) for most in item.size]
        first = [
            min(max(at - size // 2, 0), most - size)
            for at, size, most in zip(
                (top, left), sizes, item.size, strict=True
            )
        ]
        return first[0], first[1], sizes[0], sizes[1]
    margin = max(16, max(height, width) // 2)
    above, before = max(top - margin, 0), max(left - margin, 0)
    below = min(top + height + margin, item.size[0])
    after = min(left + width + margin, item.size[1])
    return above, before, below - above, after - before


def runs_of(item: Item) -> list[list[int]]:
    """List a region's runs of pixels, row-major within its box.

    Returns:
        Start and length of each; a run may go on in the next row.
    """
    rows, columns = item.inside
    inside = rows * item.box[3] + columns
    begins = np.flatnonzero(np.diff(inside, prepend=-2) != 1)
    lengths = np.diff(begins, append=len(inside))
    return np.stack([inside[begins], lengths], 1).tolist()  # type: ignore


def cut_superpixels(image: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Cut an image into superpixels, for the fill tool of the page.

    Args:
        image: uint8 (H, W, 3), RGB.

    Returns:
        int32 (H, W), ids from 0.
    """
    from skimage.segmentation import slic  # takes a second to import

    height, width = image.shape[:2]
    small = image
    if image.shape[0] * image.shape[1] > CUT_PIXELS:
        shrink = (CUT_PIXELS / (height * width)) ** 0.5
        size = (max(1, int(width * shrink)), max(1, int(height * shrink)))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    count = height * width // SUPERPIXEL
    labels = slic(
        small.astype(np.float32) / 255,  # half the memory of float64
        n_segments=min(max(count, 1), MOST_SUPERPIXELS),
        max_num_iter=5,
        start_label=0,
        channel_axis=-1,
    ).astype(np.int32)
    return cv2.resize(
        labels, (width, height), interpolation=cv2.INTER_NEAREST_EXACT
    )


def encode_png(image: NDArray[np.uint8]) -> bytes:
    """Encode an RGB or grey image without loss, fast."""
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    # OpenCV's own settings are the fastest; a level would slow it down
    return cv2.imencode('.png', image)[1].tobytes()


class Kept:
    """Values that are kept while all of them fit; the oldest go first.

    Args:
        most_bytes: Of all together.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.bytes = 0
        self._values: OrderedDict[Any, tuple[Any, int]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: object) -> Any:
        """Return a value, None where it is not kept."""
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key][0]

    def put(self, key: object, value: Any, size: int) -> None:
        """Keep a value of so many bytes, unless it is too large alone."""
        with self._lock:
            if key in self._values or size > self.most_bytes:
                return
            self._values[key] = value, size
            self.bytes += size
            while self.bytes > self.most_bytes:
                self.bytes -= self._values.popitem(last=False)[1][1]


class Crops:
    """The pictures of a pool.

    All methods but :meth:`prefetch` take their time; call them in a thread,
    :attr:`threads` for what somebody waits for, :attr:`background` for the
    rest.

    Args:
        pool: Its images.
        most_bytes: Of images that are kept decoded.
    """

    def __init__(self, pool: PoolFile, most_bytes: int = MOST_BYTES) -> None:
        self.pool = pool
        self.kept = Kept(most_bytes)
        self.threads = ThreadPoolExecutor(2, 'crops')
        self.background = ThreadPoolExecutor(1, 'prefetch')
        self._making: dict[Any, Future[Any]] = {}
        self._queued: set[str] = set()
        self._lock = Lock()

    def close(self) -> None:
        """End the threads."""
        self.threads.shutdown(wait=True, cancel_futures=True)
        self.background.shutdown(wait=True, cancel_futures=True)

    def _once(self, key: object, make: Callable[[], Any]) -> Any:
        """Return what is kept, or make it; only one thread does."""
        value = self.kept.get(key)
        if value is not None:
            return value
        with self._lock:
            future = self._making.get(key)
            is_ours = future is None
            if future is None:
                future = self._making[key] = Future()
        if not is_ours:
            return future.result()
        try:
            value = make()
            size = value.nbytes if hasattr(value, 'nbytes') else len(value)
            self.kept.put(key, value, size)
            future.set_result(value)
        except BaseException as error:
            future.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._making[key]
        return value

    def image(self, name: str) -> NDArray[np.uint8]:
        """Return an image, uint8 (H, W, 3), RGB.

        Raises:
            DataError: It cannot be read.
        """

        def read() -> NDArray[np.uint8]:
            return np.ascontiguousarray(self.pool.read(name))

        image: NDArray[np.uint8] = self._once(self._file(name), read)
        return image

    def _file(self, name: str) -> tuple[object, ...]:
        """Tell an image's file from another one that took its place."""
        try:
            stat = self.pool.files[name].stat()
        except OSError:  # whoever reads it says why
            return (name,)
        return name, stat.st_ino, stat.st_size, stat.st_mtime_ns

    def _part(self, item: Item) -> NDArray[np.uint8]:
        top, left, height, width = crop_box(item)
        image = self.image(item.image)
        return np.ascontiguousarray(
            image[top : top + height, left : left + width]
        )

    def crop(self, item: Item) -> bytes:
        """Return the crop of an item as a PNG, the pixels as they are."""
        return encode_png(self._part(item))

    def context(self, name: str) -> bytes:
        """Return a whole image as a JPEG, made smaller where it is large."""

        def make() -> bytes:
            image = self.image(name)
            height, width = image.shape[:2]
            shrink = CONTEXT / max(height, width)
            if shrink < 1:
                size = (
                    max(1, round(width * shrink)),
                    max(1, round(height * shrink)),
                )
                image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
            quality = [cv2.IMWRITE_JPEG_QUALITY, 85]
            return cv2.imencode('.jpg', image, quality)[1].tobytes()

        jpeg: bytes = self._once(('context', self._file(name)), make)
        return jpeg

    def superpixels(self, item: Item) -> bytes:
        """Return the superpixels of a crop as a PNG.

        Red * 65536 + green * 256 + blue is the id of a pixel's superpixel.
        """

        def make() -> bytes:
            ids = cut_superpixels(self._part(item))
            parts = [ids >> 16, ids >> 8 & 255, ids & 255]
            return encode_png(np.stack(parts, -1).astype(np.uint8))

        png: bytes = self._once(
            ('superpixels', self._file(item.image), crop_box(item)), make
        )
        return png

    def prefetch(self, names: Iterable[str]) -> None:
        """Begin to decode images that will be asked for; returns at once."""
        for name in dict.fromkeys(names):
            with self._lock:
                if name in self._queued or len(self._queued) >= MOST_QUEUED:
                    continue
                self._queued.add(name)
            self.background.submit(self._fetch, name)

    def _fetch(self, name: str) -> None:
        try:
            self.context(name)
            self.image(name)
        except SegALError as error:
            log.warning('%s', error)
        finally:
            with self._lock:
                self._queued.discard(name)
