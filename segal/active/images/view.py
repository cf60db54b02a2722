"""Convert any image to 8-bit RGB, for superpixels and pictures.

An image that the pool's loader gives as uint8 in three channels is shown as it
is. All others are brought to that: alpha is dropped, grey is repeated, and
values of more than 8 bits are stretched between two percentiles of the pool,
the same for all of its images, so that the view of one image depends on no
round, no process and no order.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segal.active.images.file import has_eight_bits
from segal.errors import ConfigError, DataError

LOWEST, HIGHEST = 0.5, 99.5
"""Percentiles of the pool that become black and white."""

ALIKE = 4
"""Channels get one range where it is at most so many times as wide as that of
each of them; else each has its own."""

MOST_PIXELS = 40_000
"""Of one image that the percentiles are taken over."""


FEWEST_VALUES = 16
"""That are left where one value at an end is taken for "no data"."""


class Content(NamedTuple):
    """The type, channels and bits of an image, as its loader gives it.

    Attributes:
        dtype: Name of their type.
        channels: How many a pixel has.
        stretched: Whether percentiles of the pool become black and white;
            else they lie in 0 to 255 already.
    """

    dtype: str = 'uint8'
    channels: int = 3
    stretched: bool = False

    @property
    def words(self) -> str:
        """Such as ``'uint16, 1 channel'``."""
        return f'{self.dtype}, {self.channels} channel' + 's' * (
            self.channels != 1
        )


PLAIN = Content()
"""8-bit colour."""


class Range(NamedTuple):
    """The values that become black and white in each of R, G and B."""

    low: tuple[float, ...]
    high: tuple[float, ...]


def content_of(image: Any, path: str) -> Content:
    """Describe the type, channels and bits of an image.

    Raises:
        DataError: It is no image: other than (H, W) or (H, W, C), empty, or
            of something else than real numbers.
    """
    array = np.asarray(image)
    if (
        array.ndim not in (2, 3)
        or not array.size
        or array.dtype.kind not in 'buif'
    ):
        raise DataError(
            f'{path}: wanted an image (H, W) or (H, W, C) of integers or '
            f'real numbers, got an array of shape {array.shape} and type '
            f'{array.dtype}; correct its loader, or take the file out'
        )
    dtype, channels = array.dtype, 1 if array.ndim == 2 else array.shape[2]
    if dtype == np.bool_:
        return Content('bool', channels)
    if dtype == np.uint8:
        return Content('uint8', channels, has_eight_bits(path) is False)
    plain = (
        dtype.kind == 'f'
        and has_eight_bits(path) is True
        and np.array_equal(array, as_bytes(array))
    )
    return Content(dtype.name, channels, not plain)


@dataclass(frozen=True)
class ImageView:
    """The conversion of one pool's images to 8-bit RGB.

    Attributes:
        channels: Which of a loader's channels are R, G and B; None: alpha is
            dropped, grey repeated, of more than three the first three.
        blue_first: Whether a loader gives four channels as B, G, R, A; three
            are always B, G, R, but of a ``'tifffile'`` loader.
        rgb_first: Whether it is such a loader.
        ranges: Of each content that is stretched.
    """

    channels: tuple[int, ...] | None = None
    blue_first: bool = True
    rgb_first: bool = False
    ranges: Mapping[Content, Range] = field(default_factory=dict)

    def rgb(self, image: Any, content: Content) -> NDArray[np.uint8]:
        """Convert an image to 8-bit RGB.

        Args:
            image: (H, W) or (H, W, C).
            content: What it is made of.

        Returns:
            uint8 (H, W, 3), a new array.

        Raises:
            ConfigError: It has too few channels for ``channels``.
        """
        colours = self.pick(image, content)  # (H, W, 3)
        if content.stretched:
            known = self.ranges.get(content)
            colours = stretched(colours, known or range_of([colours]))
        elif content.dtype == 'bool':
            colours = as_bytes(colours) * np.uint8(255)
        return as_bytes(colours)

    def pick(self, image: Any, content: Content) -> NDArray[Any]:
        """Select the shown channels: (H, W, 3), of the image's type."""
        array = np.asarray(image)
        array = array.reshape(*array.shape[:2], -1)  # (H, W, C)
        return array[..., self.order(content)]

    def order(self, content: Content) -> Any:
        """Find the channels that are R, G and B, as an index.

        Raises:
            ConfigError: There are fewer.
        """
        count = content.channels
        if self.channels is not None:
            if max(self.channels) >= count:
                raise ConfigError(
                    'active_learning.visualize.channels: wanted three of 0 '
                    f'to {count - 1}, since images of the pool are '
                    f'{content.words}; got {tuple(self.channels)}'
                )
            return list(self.channels)
        if count < 3:
            return [0, count - 1, count - 1]
        blue_first = count == 4 and self.blue_first
        if (count == 3 and not self.rgb_first) or blue_first:
            return slice(2, None, -1)  # B, G, R (, A)
        return slice(0, 3)

    def fingerprint(self, contents: Mapping[str, Content]) -> str:
        """Compute a fingerprint of all that the conversion depends on.

        Returns:
            Empty where every image is plain and shown as it is.
        """
        if not contents and self.channels is None and not self.rgb_first:
            return ''
        text = json.dumps(self.as_json(), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def as_json(self) -> dict[str, Any]:
        """Return the conversion as plain values, for :meth:`from_json`."""
        return dict(
            channels=self.channels and list(self.channels),
            blue_first=self.blue_first,
            rgb_first=self.rgb_first,
            ranges=[
                [*content, list(found.low), list(found.high)]
                for content, found in sorted(self.ranges.items())
            ],
        )

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> ImageView:
        """Read what :meth:`as_json` returned."""
        channels = found['channels']
        return cls(
            channels and tuple(channels),
            found['blue_first'],
            found['rgb_first'],
            {
                Content(*row[:3]): Range(tuple(row[3]), tuple(row[4]))
                for row in found['ranges']
            },
        )


def as_bytes(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Round into 0 to 255; uint8 is unchanged, NaN becomes 0."""
    if image.dtype == np.uint8 or image.dtype == np.bool_:
        return image.astype(np.uint8, order='C')
    whole = np.nan_to_num(np.rint(image), nan=0, posinf=255, neginf=0)
    return whole.clip(0, 255).astype(np.uint8, order='C')


def stretched(image: NDArray[Any], found: Range) -> NDArray[np.uint8]:
    """Scale a range to 0 to 255, and clip what lies outside.

    Args:
        image: (H, W, 3), of any real type.
        found: For each channel; one that is constant becomes black.

    Returns:
        uint8 (H, W, 3); NaN becomes 0.
    """
    kind = np.float32 if image.dtype.itemsize <= 2 else np.float64
    low: NDArray[Any] = np.array(found.low, kind)
    high: NDArray[Any] = np.array(found.high, kind)
    with np.errstate(all='ignore'):
        span = np.where(high > low, high - low, np.inf)
        return as_bytes((image.astype(kind) - low) / span * 255)


def range_of(images: Any) -> Range:
    """Compute percentiles of some images, by channel or of all three.

    Where the two are one value, as in images that are mostly empty, lowest
    and highest value count; NaN, infinite ones, and one that stands for "no
    data", such as -9999, never do.

    Args:
        images: Each (H, W, 3); at most ``MOST_PIXELS`` of each are looked at.
    """
    thinned = []
    for image in images:
        step = int(
            np.ceil((image.shape[0] * image.shape[1] / MOST_PIXELS) ** 0.5)
        )
        few = image[::step, ::step].reshape(-1, 3)
        thinned.append(few.astype(np.float64))
    values = np.concatenate(thinned)  # (N, 3)
    low, high = [], []
    for channel in values.T:
        finite = channel[np.isfinite(channel)]
        if not len(finite):
            finite = np.zeros(1)
        finite = -_without_fill(-_without_fill(finite))
        ends: Any = np.percentile(finite, (LOWEST, HIGHEST))
        if ends[0] == ends[1]:
            ends = finite.min(), finite.max()
        low.append(float(ends[0]))
        high.append(float(ends[1]))
    return _together(low, high)


def _without_fill(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Leave out the lowest value where it is no measurement.

    It would be black, and the gap to the others wider than all they span.
    """
    lowest = values.min()
    if lowest < np.percentile(values, LOWEST):
        return values
    rest = values[values > lowest]
    if len(np.unique(rest)) < FEWEST_VALUES:
        return values
    first, last = rest.min(), np.percentile(rest, HIGHEST)
    return rest if first - lowest > last - first else values


def _together(low: list[float], high: list[float]) -> Range:
    """Use one range for three similar channels, so that colours stay."""
    spans = [b - a for a, b in zip(low, high, strict=True) if b > a]
    ends = min(low), max(high)
    if spans and ends[1] - ends[0] <= ALIKE * min(spans):
        low, high = [ends[0]] * 3, [ends[1]] * 3
    return Range(tuple(low), tuple(high))


def ranges_over(
    contents: Mapping[str, Content],
    view: ImageView,
    sample: Callable[[Content], Iterator[Any]],
) -> dict[Content, Range]:
    """Compute the range of each kind of image that is stretched.

    Args:
        contents: By name of image, of those that are not plain.
        view: Says which channels are shown.
        sample: Gives some images of a content, always the same ones.
    """
    return {
        content: range_of(
            view.pick(image, content) for image in sample(content)
        )
        for content in sorted(set(contents.values()))
        if content.stretched
    }
