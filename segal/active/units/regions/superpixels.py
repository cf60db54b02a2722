from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.segmentation import slic

from segal.active.units.base import Fit
from segal.active.units.regions.partition import Partition
from segal.errors import ConfigError, StateError
from segal.files import replace_file
from segal.registry import UNITS
from segal.structures import PoolImage

MOST = 2**16
"""Superpixels of an image that 16 bits tell apart."""


@UNITS.register_module()
class Superpixels(Partition):
    """Superpixels: connected patches of similar colour.

    They are computed once for each image and kept as a PNG of 16 bits. Its
    name is a fingerprint of the image's file, of the options and of the
    library's version. So a changed image gets new superpixels, and a missing
    or damaged file is computed again.

    Source: Achanta et al., SLIC Superpixels Compared to State-of-the-Art
    Superpixel Methods, TPAMI 2012, as scikit-image has it; for active
    learning, Cai et al., Revisiting Superpixels for Active Learning in
    Semantic Segmentation With Realistic Annotation Costs, CVPR 2021.

    Args:
        read_image: Name of an image -> uint8 (H, W, 3), RGB.
        file: Name of an image -> path of its file.
        cache: Folder of the label maps; None keeps none.
        segments: About how many there are in each image, 2 to 65,000.
        compactness: Weight of nearness against likeness of colour.

    Raises:
        ConfigError: An option has no meaning, or an image falls into more
            pieces than can be told apart.
    """

    reads_images: ClassVar[bool] = True

    def __init__(
        self,
        read_image: Callable[[str], NDArray[np.uint8]],
        file: Callable[[str], str],
        cache: str | Path | None = None,
        segments: int = 500,
        compactness: float = 10.0,
    ) -> None:
        if not 2 <= segments <= 65_000:
            raise ConfigError(
                f'segments: wanted 2 to 65,000 superpixels an image, got '
                f'{segments}'
            )
        if not compactness > 0:
            raise ConfigError(
                f'compactness: wanted a number above 0, got {compactness}'
            )
        self.read_image = read_image
        self.file = file
        self.cache = cache if cache is None else Path(cache)
        self.segments = segments
        self.compactness = compactness

    def labels(self, image: PoolImage) -> NDArray[np.int64]:
        """Read the superpixel of each pixel, or compute it.

        Returns:
            int64 (H, W), from 0 without gaps, in reading order of their
            first pixels.
        """
        if self.cache is None:
            return self._cut(image)
        path = self.cache / f'{self._fingerprint(image)}.png'
        kept = self._kept(path, image)
        if kept is not None:
            return kept
        labels = self._cut(image)
        buffer = io.BytesIO()
        Image.fromarray(labels.astype(np.uint16)).save(buffer, 'PNG')
        self.cache.mkdir(parents=True, exist_ok=True)
        try:
            replace_file(path, buffer.getvalue())
        except StateError:
            if self._kept(path, image) is None:  # else another run wrote it
                raise
        return labels

    def _kept(self, path: Path, image: PoolImage) -> NDArray[np.int64] | None:
        """Read what was computed before, (H, W); None where it is no use."""
        try:
            with Image.open(path) as png:
                png.verify()  # its checksums, which reading it passes over
            with Image.open(path) as png:
                labels = np.array(png)
        except (OSError, SyntaxError, ValueError):
            return None
        if labels.shape != tuple(image.size):
            return None
        return labels.astype(np.int64)

    def fit(self, image: PoolImage, count: bool = True) -> Fit:
        """Count superpixels that were cut before; see the base."""
        labels = None
        if self.cache is not None and self.cache.is_dir():
            path = self.cache / f'{self._fingerprint(image)}.png'
            labels = self._kept(path, image)
        if labels is None and count:
            labels = self._cut(image)
        if labels is None:
            about = min(self.segments, image.pixels)
            return Fit(about, about, False)
        number = int(labels.max()) + 1
        return Fit(number, number, True)

    def _cut(self, image: PoolImage) -> NDArray[np.int64]:
        labels = slic(
            self.read_image(image.name),
            n_segments=self.segments,
            compactness=self.compactness,
            start_label=0,
            enforce_connectivity=True,
            channel_axis=-1,
        )  # (H, W)
        _, first, inverse = np.unique(
            labels, return_index=True, return_inverse=True
        )
        rank = np.empty(len(first), np.int64)
        rank[np.argsort(first)] = np.arange(len(first))
        if len(first) > MOST:
            raise ConfigError(
                f'segments: wanted at most {MOST:,} superpixels an image, got '
                f'{len(first):,} of {self.segments:,} in {image.name!r}; '
                'lower segments'
            )
        return rank[inverse].reshape(image.size)

    def _fingerprint(self, image: PoolImage) -> str:
        digest = hashlib.blake2b(
            Path(self.file(image.name)).read_bytes(), digest_size=16
        )
        options = (self.segments, self.compactness, version('scikit-image'))
        digest.update(repr((*options, tuple(image.size))).encode())
        return digest.hexdigest()

    def typical_pixels(self, image: PoolImage) -> int:
        """See the base."""
        return max(1, image.pixels // self.segments)
