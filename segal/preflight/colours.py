"""Check that a colour enters the network alike in all pipelines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

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
        asked = [_enters(pool, 0, image) for _, image in made]
        entered = np.concatenate([x[np.isfinite(x)] for x in asked])
        spread = max(float(np.ptp(entered)), 1e-6)  # raises if it is empty
        for (colours, image), seen in zip(made, asked, strict=True):
            least = 0 if np.ptp(image, axis=(0, 1)).max() == 0 else _SCALED
            for loader, index, near, draws in others:
                close = max(near, least) * spread
                found = _range(loader, index, image, seen, close, draws)
                if found:
                    problems.append(
                        f'{loader.key}.pipeline: wanted colours as in '
                        f'{pool.key}.pipeline, where an image of {colours} '
                        f'enters the network as {_numbers(seen)}; got '
                        f'{found}; write the same Normalize (mean, std, '
                        'to_rgb) in both, and other steps that always change '
                        'colours or contrast'
                    )
                    return
    except (DataError, LookupError, TypeError, AttributeError, ValueError):
        return  # reported with the samples


def _images(image: NDArray[Any]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Make images like one of the pool, each with its colours in words.

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
        yield _numbers(flat[0, 0]), flat
    height, width = image.shape[:2]
    down, across = np.ogrid[:height, :width]
    phase = _WAVES * across / width + down / height  # (H, W)
    greys = dark + (light - dark) * np.abs(2 * (phase % 1) - 1)
    waves = np.empty_like(image)
    waves[...] = greys.reshape(height, width, *[1] * (image.ndim - 2))
    yield f'greys from {_numbers(dark)} to {_numbers(light)}', waves


def _enters(loader: LoadFirst, index: int, image: NDArray[Any]) -> Values:
    """Compute what an image is to the network.

    Returns:
        float64 (2, C), what 20 and 80 % of each channel lie below; NaN where
        a step fails, as one that stretches the values of a flat image.
    """
    results = loader.load_image(index)
    results['img'] = image.copy()
    labels = np.zeros(image.shape[:2], np.uint8)
    try:
        sample = loader.transform(index, results, labels)
    except (DataError, ArithmeticError, AssertionError):
        return np.full((2, 1), np.nan)
    entered = views_of(sample)[0][0].astype(float)
    flat = entered.reshape(len(entered), -1)
    return np.quantile(flat, (0.2, 0.8), axis=1)


def _range(
    loader: LoadFirst,
    index: int,
    image: NDArray[Any],
    wanted: Values,
    near: float,
    draws: int,
) -> str:
    """Describe what a pipeline makes of an image, if ``wanted`` is not in it.

    Passes end when the range of the values so far has ``wanted`` in it.
    """
    low = np.full(wanted.shape, np.inf)
    high = -low
    for draw in range(draws):
        with seeded('colours', draw):
            got = _enters(loader, index, image)
        if not (np.isfinite(wanted).all() and np.isfinite(got).all()):
            return ''
        low, high = np.minimum(low, got), np.maximum(high, got)
        if ((low - near <= wanted) & (wanted <= high + near)).all():
            return ''
    if (low == high).all():
        return _numbers(low)
    return f'{_numbers(low)} to {_numbers(high)} in {draws} passes'


def _numbers(values: NDArray[Any]) -> str:
    """Write the channels of a colour, or of two that differ."""
    rows = np.unique(values, axis=0) if values.ndim == 2 else values[None]
    return ' and '.join(
        f'({", ".join(f"{float(x):.3g}" for x in np.atleast_1d(row))})'
        for row in rows
    )
