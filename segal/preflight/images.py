"""What the pipelines make of the values of an image."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmseg.datasets import CustomDataset
from numpy.typing import NDArray

from segal.active.dataset.base import LoadFirst, image_file, reading
from segal.active.dataset.pool import query_batch
from segal.active.images.view import PLAIN, content_of
from segal.errors import DataError
from segal.experiment.data import Data
from segal.seeding import seeded

_DRAWS = 8
"""Passes through a pipeline whose steps are random."""

_FACTOR = 4
"""Between the largest values of one file, read twice, that is no accident."""

_SCALE = 8
"""Between what two types of numbers come to in a network, that is none."""


def read_alike(data: Data, problems: list[str]) -> None:
    """Check that all pipelines read one file as the query does.

    A network that learns from values of 8 bits, and is asked about those of
    16, answers nonsense without a word.

    Args:
        data: The data sets.
        problems: Gets what is wrong.
    """
    name = data.pool[0].name
    entries: list[tuple[str, CustomDataset, int]] = [
        ('data.train', data.view, data.positions[name])
    ]
    if isinstance(data.val, CustomDataset) and len(data.val):
        entries.append(('data.val', data.val, 0))
    for key, dataset, index in entries:
        loader = LoadFirst(dataset, key)
        as_query = LoadFirst(dataset, key)
        as_query.load = data.pool.loading_steps
        try:
            one = np.asarray(loader.load_image(index)['img'])
            other = np.asarray(as_query.load_image(index)['img'])
        except DataError:
            continue  # said with the samples
        if not _alike(one, other):
            problems.append(
                f'{key}.pipeline: wanted images read as in '
                f'data.query.pipeline; of {image_file(dataset, index)} the '
                f'one makes {_words(one)}, the other {_words(other)}; write '
                'the same loading step in both'
            )
        elif key == 'data.val':
            problems += _other_files(data, one, image_file(dataset, index))


def _other_files(data: Data, image: NDArray[Any], path: str) -> list[str]:
    """What is wrong where ``data.val`` has files of another kind."""
    loader = LoadFirst(data.pool.dataset, data.pool.key)
    first = np.asarray(loader.load_image(0)['img'])
    if image.dtype == first.dtype or _alike(image, first):
        return []
    if not (any(_ends(image)) and any(_ends(first))):
        return []  # an empty image says nothing of the scale
    return [
        f'data.val: wanted images like those of the pool, {_words(first)} '
        f'({data.pool.file(data.pool[0].name)}), got {_words(image)} '
        f'({path}); convert the ones or the others'
    ]


def enter_alike(data: Data, problems: list[str]) -> None:
    """Check that the network can take all images of the pool.

    One number of channels, and one scale where they are of several types:
    an 8-bit file among those of 16 bits is black to the network.

    Args:
        data: The data sets.
        problems: Gets what is wrong.
    """
    pool = data.pool
    names = pool.one_of_each_content()
    channels: dict[int, str] = {}
    spreads: dict[str, tuple[float, str]] = {}
    for name in names if len(names) > 1 else ():
        try:
            entering = query_batch(pool, [name])['img'][0]
            count, spread = int(entering.shape[1]), float(np.ptp(entering))
        except (DataError, LookupError, TypeError, AttributeError):
            return  # said with the samples
        dtype, path = pool.contents.get(name, PLAIN).dtype, pool.file(name)
        channels.setdefault(count, path)
        if spread > 0:
            spreads.setdefault(dtype, (spread, f'{dtype} ({path})'))
    where = 'data.query: wanted images with one '
    if len(channels) > 1:
        listed = ', '.join(f'{n} ({path})' for n, path in channels.items())
        problems.append(
            f'{where}number of channels, got {listed}; '
            "LoadImageFromFile(color_type='color') gives three of each"
        )
    elif spreads:
        ends = sorted(spreads.values())
        if ends[-1][0] > _SCALE * ends[0][0]:
            problems.append(
                f'{where}scale, got {ends[0][1]} beside {ends[-1][1]}, whose '
                f'values vary {ends[-1][0] / ends[0][0]:.0f} times as much '
                'where they enter the network; convert the files to one type'
            )


def keep_their_values(data: Data, problems: list[str]) -> None:
    """Check that no training step cuts values down to 8 bits, or fails.

    Such as mmseg's ``PhotoMetricDistortion``, which turns all that is above
    255 into 255, and fails on grey images in three of four draws.

    Args:
        data: The data sets.
        problems: Gets what is wrong.
    """
    image = data.pool[0]
    loader = LoadFirst(data.view, 'data.train')
    at = data.positions[image.name]
    if content_of(loader.load_image(at)['img'], image.name)[:2] == PLAIN[:2]:
        return
    failed = ''
    for draw in range(_DRAWS):
        results = loader.load_image(at)
        results['gt_semantic_seg'] = np.zeros(image.size, np.uint8)
        results['seg_fields'].append('gt_semantic_seg')
        with seeded('values', draw):
            for step in loader.transforms:
                before = results['img']
                try:
                    with reading(data.view, at, 'data.train', step):
                        results = step(results)
                        after = results['img']
                except DataError as error:
                    failed = str(error)
                    break
                if _cut(before, after):
                    problems.append(
                        f'data.train.pipeline: {type(step).__name__} is for '
                        f'images of 0 to 255; it made {_words(after)} of '
                        f'{_words(before)} ({image.name}); take it out, or '
                        'load images of 8 bits'
                    )
                    return
    if failed and not any('pipeline fails on it' in one for one in problems):
        problems.append(failed)


def _cut(before: Any, after: Any) -> bool:
    """Whether values that 8 bits do not hold became 8 bits."""
    if not isinstance(after, np.ndarray) or after.dtype != np.uint8:
        return False
    if not isinstance(before, np.ndarray) or before.dtype == np.uint8:
        return False
    lowest, highest = _ends(before)
    return lowest < 0 or highest > 255 or highest <= 1


def _alike(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether two readings of a file have the same channels and scale."""
    channels = [1 if x.ndim == 2 else x.shape[-1] for x in (one, other)]
    if channels[0] != channels[1]:
        return False
    low, high = sorted(max(map(abs, _ends(x))) for x in (one, other))
    return not high > _FACTOR * low


def _ends(image: NDArray[Any]) -> tuple[float, float]:
    """The lowest and the highest finite value; zeros where there is none."""
    finite = image[np.isfinite(image)] if image.dtype.kind == 'f' else image
    return (
        (float(finite.min()), float(finite.max())) if finite.size else (0, 0)
    )


def _words(image: NDArray[Any]) -> str:
    """Type, shape and range of an image."""
    lowest, highest = _ends(image)
    return f'{image.dtype} {image.shape} from {lowest:.5g} to {highest:.5g}'
