"""Check that a colour enters the network alike in all pipelines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from mmseg.datasets import CustomDataset
from numpy.typing import NDArray

from segal.active.dataset.base import LoadFirst
from segal.errors import DataError
from segal.experiment.data import Data
from segal.preflight.base import views_of
from segal.seeding import seeded

_DRAWS = 32
"""Passes through a pipeline that changes colours at random, at most."""

_NEAR, _SAME, _SCALED = 0.08, 0.01, 0.03
"""Tolerances for training, for the evaluation, and for the evaluation of
greys, which an interpolation changes, as shares of the range of values that
enter the network."""

_MOST = 4
"""Channels that get a flat image each; more get a dark and a light one."""

_WAVES = 4
"""Waves of grey across an image: every tile of mmseg's CLAHE has all greys."""

Values = NDArray[np.float64]


class _Image(NamedTuple):
    """An image of known colours.

    Attributes:
        words: Its colours.
        pixels: (H, W) or (H, W, C).
        is_flat: Whether all pixels are the same.
    """

    words: str
    pixels: NDArray[Any]
    is_flat: bool = True

    def compared(self, entered: Values) -> Values:
        """Choose the rows of :func:`_enters` to compare.

        Of a flat image the median alone, which a patch does not change.
        """
        return entered[1:2] if self.is_flat else entered[::2]


def colours_enter_alike(data: Data, problems: list[str]) -> None:
    """Check that a colour becomes the same numbers in all pipelines.

    A network that learns from normalised RGB, and predicts on BGR or on
    values of 0 to 255, gives nonsense without an error. Flat images, and one
    of greys, go through the pipelines. Where training changes colours at
    random, the query's must be one that training can make.
    """
    pool = LoadFirst(data.pool.dataset, data.pool.key)
    train = LoadFirst(data.view, 'data.train')
    at = data.positions[data.pool[0].name]
    others = [(train, at, _NEAR, _DRAWS)]
    if isinstance(data.val, CustomDataset) and len(data.val):
        others += [(LoadFirst(data.val, 'data.val'), 0, _SAME, 1)]
    try:
        made = list(_images(train.load_image(at)['img']))
        asked = [_enters(pool, 0, image) for image in made]
        entered = np.concatenate([x[np.isfinite(x)] for x in asked])
        spread = max(float(np.ptp(entered)), 1e-6)  # raises if it is empty
        for loader, index, near, draws in others:
            covers = False  # a step that paints over parts of an image
            for image, seen in zip(made, asked, strict=True):
                if covers and not image.is_flat:
                    continue
                least = near if image.is_flat else max(near, _SCALED)
                passes = _Passes(loader, index, image, draws)
                found = passes.without(seen, least * spread)
                covers |= image.is_flat and passes.spread > near * spread
                if found:
                    problems.append(
                        f'{loader.key}.pipeline: wanted colours as in '
                        f'{pool.key}.pipeline, where an image of '
                        f'{image.words} enters the network as '
                        f'{_numbers(image.compared(seen))}; got {found}; '
                        'write the same Normalize (mean, std, to_rgb) in '
                        'both, and other steps that always change colours or '
                        'contrast'
                    )
                    return
    except (DataError, LookupError, TypeError, AttributeError, ValueError):
        return  # reported with the samples


def _images(image: NDArray[Any]) -> Iterator[_Image]:
    """Make images like one of the pool.

    Of up to four channels, one image for each, which is light there alone;
    else a dark and a light one. Then a grey one, which a gamma would change;
    and one of greys in waves, whose contrast an equalisation would change.
    """
    low, high = 0.0, 255.0
    if image.dtype != np.uint8:
        known = image[np.isfinite(image)]
        low, high = float(known.min()), float(known.max())
    channels = 1 if image.ndim == 2 else image.shape[2]
    flats = []
    if 1 < channels <= _MOST:
        for channel in range(channels):
            flats.append(np.full_like(image, low))
            flats[-1][..., channel] = high
    else:
        flats += [np.full_like(image, value) for value in (low, high)]
    shares = np.array([3 / 8, 1 / 4, 3 / 4])
    grey, dark, light = low + (high - low) * shares
    for flat in (*flats, np.full_like(image, grey)):
        yield _Image(_numbers(flat[0, 0]), flat)
    height, width = image.shape[:2]
    down, across = np.ogrid[:height, :width]
    phase = _WAVES * across / width + down / height  # (H, W)
    greys = dark + (light - dark) * np.abs(2 * (phase % 1) - 1)
    waves = np.empty_like(image)
    waves[...] = greys.reshape(height, width, *[1] * (image.ndim - 2))
    words = f'greys from {_numbers(dark)} to {_numbers(light)}'
    yield _Image(words, waves, is_flat=False)


def _enters(loader: LoadFirst, index: int, image: _Image) -> Values:
    """Compute what an image is to the network.

    Returns:
        float64 (3, C), what 20, 50 and 80 % of each channel lie below; NaN
        where a step fails, as one that stretches the values of a flat image.
    """
    results = loader.load_image(index)
    results['img'] = image.pixels.copy()
    labels = np.zeros(image.pixels.shape[:2], np.uint8)
    try:
        sample = loader.transform(index, results, labels)
    except (DataError, ArithmeticError, AssertionError):
        return np.full((3, 1), np.nan)
    entered = views_of(sample)[0][0].astype(float)
    flat = entered.reshape(len(entered), -1)
    return np.quantile(flat, (0.2, 0.5, 0.8), axis=1)


@dataclass
class _Passes:
    """Passes of an image through a pipeline.

    Attributes:
        spread: Widest range of values that a pass made of one channel.
    """

    loader: LoadFirst
    index: int
    image: _Image
    draws: int
    spread: float = 0.0

    def without(self, wanted: Values, near: float) -> str:
        """Describe what passes make of an image, if ``wanted`` is not in it.

        Passes end when the range of the values so far has ``wanted`` in it.
        """
        wanted = self.image.compared(wanted)
        low = np.full(wanted.shape, np.inf)
        high = -low
        for draw in range(self.draws):
            with seeded('colours', draw):
                entered = _enters(self.loader, self.index, self.image)
            got = self.image.compared(entered)
            if not (np.isfinite(wanted).all() and np.isfinite(got).all()):
                return ''
            self.spread = max(self.spread, float(np.ptp(entered, 0).max()))
            low, high = np.minimum(low, got), np.maximum(high, got)
            if ((low - near <= wanted) & (wanted <= high + near)).all():
                return ''
        if (low == high).all():
            return _numbers(low)
        return f'{_numbers(low)} to {_numbers(high)} in {self.draws} passes'


def _numbers(values: NDArray[Any]) -> str:
    """Write the channels of a colour, or of two that differ."""
    rows = np.unique(values, axis=0) if values.ndim == 2 else values[None]
    return ' and '.join(
        f'({", ".join(f"{float(x):.3g}" for x in np.atleast_1d(row))})'
        for row in rows
    )
