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

_NEAR, _SAME = 0.1, 0.01
"""Tolerances for training and evaluation, as shares of the range of values
that enter the network."""

_MOST = 4
"""Channels that get a flat image each; more get a dark and a light one."""

Values = NDArray[np.float64]


def colours_enter_alike(data: Data, problems: list[str]) -> None:
    """Check that a colour becomes the same numbers in all pipelines.

    A network that learns from normalised RGB, and predicts on BGR or on
    values of 0 to 255, gives nonsense without an error. Flat images go
    through the pipelines. Where training changes colours at random, the
    query's must be one that training can make.
    """
    pool = LoadFirst(data.pool.dataset, data.pool.key)
    train = LoadFirst(data.view, 'data.train')
    at = data.positions[data.pool[0].name]
    others = [(train, at, _NEAR, _DRAWS)]
    if isinstance(data.val, CustomDataset) and len(data.val):
        others += [(LoadFirst(data.val, 'data.val'), 0, _SAME, 1)]
    try:
        flats = list(_flat_images(train.load_image(at)['img']))
        asked = [_enters(pool, 0, flat) for flat in flats]
        spread = max(float(np.ptp(asked)), 1e-6)
        for flat, seen in zip(flats, asked, strict=True):
            for loader, index, near, draws in others:
                found = _range(loader, index, flat, seen, near * spread, draws)
                if found:
                    problems.append(
                        f'{loader.key}.pipeline: wanted colours as in '
                        f'{pool.key}.pipeline, where a pixel of '
                        f'{_numbers(flat[0, 0])} enters the network as '
                        f'{_numbers(seen)}; got {found}; write the same '
                        'Normalize (mean, std, to_rgb) in both, and other '
                        'steps that always change colours'
                    )
                    return
    except (DataError, LookupError, TypeError, AttributeError, ValueError):
        return  # reported with the samples


def _flat_images(image: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Make images like one of the pool, each of one colour.

    Of up to four channels, one image for each, which is light there alone;
    else a dark and a light one. Then a grey one, which a gamma would change.
    """
    low, high = 0, 255
    if image.dtype != np.uint8:
        known = image[np.isfinite(image)]
        low, high = known.min(), known.max()
    channels = 1 if image.ndim == 2 else image.shape[2]
    if 1 < channels <= _MOST:
        for channel in range(channels):
            flat = np.full_like(image, low)
            flat[..., channel] = high
            yield flat
    else:
        for value in (low, high):
            yield np.full_like(image, value)
    grey = float(low) + (float(high) - float(low)) * 3 / 8
    yield np.full_like(image, grey)


def _enters(loader: LoadFirst, index: int, flat: NDArray[Any]) -> Values:
    """Compute what a flat image is to the network: median of each channel."""
    results = loader.load_image(index)
    results['img'] = flat.copy()
    labels = np.zeros(flat.shape[:2], np.uint8)
    sample = loader.transform(index, results, labels)
    image = views_of(sample)[0][0].astype(float)
    return np.median(image.reshape(len(image), -1), axis=1)


def _range(
    loader: LoadFirst,
    index: int,
    flat: NDArray[Any],
    wanted: Values,
    near: float,
    draws: int,
) -> str:
    """Describe what a pipeline makes of a colour, if ``wanted`` is not in it.

    Passes end when the range of the values so far has ``wanted`` in it.
    """
    low = np.full(len(wanted), np.inf)
    high = -low
    for draw in range(draws):
        with seeded('colours', draw):
            got = _enters(loader, index, flat)
        low, high = np.minimum(low, got), np.maximum(high, got)
        if ((low - near <= wanted) & (wanted <= high + near)).all():
            return ''
    if (low == high).all():
        return _numbers(low)
    return f'{_numbers(low)} to {_numbers(high)} in {draws} passes'


def _numbers(values: NDArray[Any]) -> str:
    return f'({", ".join(f"{float(x):.3g}" for x in np.atleast_1d(values))})'
