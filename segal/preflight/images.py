"""Check that pipelines keep the values and channels of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from mmseg.datasets import CustomDataset
from numpy.typing import NDArray
from PIL import Image

from segal.active.dataset.base import LoadFirst, image_file, reading
from segal.active.dataset.pool import Pool, query_batch
from segal.active.dataset.scan import count_of
from segal.active.images.file import has_eight_bits
from segal.active.images.view import PLAIN, content_of
from segal.errors import DataError
from segal.experiment.data import Data
from segal.preflight.base import content
from segal.preflight.label_values import FORMATS
from segal.seeding import seeded

_DRAWS = 8
"""Passes through a random pipeline."""

_OF_EACH = 4
"""Images of each kind of a pool that has several."""

_FACTOR = 4
"""Ratio of the largest values in two readings of a file; more is an error."""

_SCALE = 8
"""Ratio of the ranges of two files in the network; more is an error."""


def read_alike(data: Data, problems: list[str]) -> None:
    """Check that all pipelines read one file as the query does.

    A network that learns from 8-bit values, and predicts on 16-bit ones,
    gives nonsense without an error.
    """
    name = data.pool[0].name
    before = len(problems)
    entries: list[tuple[str, CustomDataset, int]] = [
        ('data.train', data.view, data.positions[name])
    ]
    if isinstance(data.val, CustomDataset) and len(data.val):
        kinds = one_of_each_kind(data.val)
        entries += [('data.val', data.val, index) for index in kinds]
    for key, dataset, index in entries:
        loader = LoadFirst(dataset, key)
        as_query = LoadFirst(dataset, key)
        as_query.load = data.pool.loading_steps
        try:
            one = np.asarray(loader.load_image(index)['img'])
            other = np.asarray(as_query.load_image(index)['img'])
        except DataError:
            if key == 'data.val' and index:
                raise
            continue  # reported with the samples
        if not _alike(one, other):
            problems.append(
                f'{key}.pipeline: wanted images read as in '
                f'data.query.pipeline; of {image_file(dataset, index)} the '
                f'one makes {_words(one)}, the other {_words(other)}; write '
                'the same loading step in both'
            )
        elif key == 'data.val':
            problems += _other_files(data, one, image_file(dataset, index))
    if len(problems) == before:
        _batches_alike(entries[1:], problems)


def one_of_each_kind(dataset: CustomDataset) -> list[int]:
    """Find an image for each kind of file that a data set has.

    The header alone tells the kind: grey, colour, with alpha, of more bits.
    A file with an unknown header is sorted by its suffix.

    Returns:
        The first position of each kind, from 0 on.
    """
    step = -(-len(dataset) // FORMATS)
    places = range(0, len(dataset), step)
    with ThreadPoolExecutor(8) as threads:
        kinds = list(
            threads.map(lambda i: _kind(image_file(dataset, i)), places)
        )
    first: dict[str, int] = {}
    for place, kind in zip(places, kinds, strict=True):
        first.setdefault(kind, place)
    return sorted(first.values())


def _kind(path: str) -> str:
    try:
        with Image.open(path) as image:
            mode = image.mode
    except Exception:
        mode = Path(path).suffix
    return f'{mode} {has_eight_bits(path)}'  # Pillow calls both RGB


def _batches_alike(
    entries: Sequence[tuple[str, CustomDataset, int]], problems: list[str]
) -> None:
    """Check that images of several kinds enter with one number of channels."""
    channels: dict[int, str] = {}
    for key, dataset, index in entries if len(entries) > 1 else ():
        path = image_file(dataset, index)
        try:
            with reading(dataset, index, key):
                views = dataset[index]['img']
        except DataError as error:
            if index:
                problems.append(str(error))
            continue
        view = content(views[0] if isinstance(views, list) else views)
        channels.setdefault(int(view.shape[0]), path)
        if len(channels) > 1:
            problems.append(_several_channels(key, channels))
            return


def _several_channels(key: str, channels: Mapping[int, str]) -> str:
    """Refuse images with several numbers of channels."""
    listed = ', '.join(f'{n} ({path})' for n, path in channels.items())
    return (
        f'{key}: wanted images with one number of channels, got {listed}; '
        "LoadImageFromFile(color_type='color') gives three of each"
    )


def sources_enter_alike(data: Data, problems: list[str]) -> None:
    """Check that sources come to the network on the pool's scale.

    Only where the files are of different types. The outputs of the training
    pipelines are compared, so that each may have its own scale.
    """
    first = data.pool[0].name
    pool = ('data.train', data.view, data.positions[first])
    for key, source in data.sources.items():
        if not isinstance(source, CustomDataset) or not len(source):
            continue
        for index in one_of_each_kind(source):
            one, other = pool, (key, source, index)
            try:
                ours, theirs = (
                    np.asarray(LoadFirst(x, k).load_image(i)['img'])
                    for k, x, i in (one, other)
                )
                if ours.dtype == theirs.dtype:
                    continue
                spreads = [_spread(*each) for each in (one, other)]
            except DataError:
                continue  # reported with the samples
            low, high = sorted(spreads)
            if low > 0 and high > _SCALE * low:
                problems.append(
                    f'{key}: wanted images that enter the network on one '
                    f'scale with those of the pool, {_words(ours)} (of '
                    f'{data.pool.file(first)}); got {_words(theirs)} (of '
                    f'{image_file(source, index)}), which vary '
                    f'{high / low:.0f} times as much or as little there; '
                    'convert the files to one type, or give each pipeline a '
                    'Normalize of its own'
                )
                break


def _spread(key: str, dataset: CustomDataset, index: int) -> float:
    """Measure the widest range of values from a training pipeline."""
    loader, widest = LoadFirst(dataset, key), 0.0
    for draw in range(_DRAWS):
        with seeded('spread', draw):
            results = loader.load_image(index)
            labels = np.zeros(results['img'].shape[:2], np.uint8)
            sample = loader.transform(index, results, labels)
        height, width = content(sample['img_metas'])['img_shape'][:2]
        image = np.asarray(content(sample['img']))[:, :height, :width]
        widest = max(widest, float(np.ptp(image)))  # without the padding
    return widest


def _other_files(data: Data, image: NDArray[Any], path: str) -> list[str]:
    """Check that ``data.val`` has files like the pool's."""
    loader = LoadFirst(data.pool.dataset, data.pool.key)
    first = np.asarray(loader.load_image(0)['img'])
    if image.dtype == first.dtype or _alike(image, first):
        return []
    if not (any(_ends(image)) and any(_ends(first))):
        return []  # an empty image has no scale
    return [
        f'data.val: wanted images like those of the pool, {_words(first)} '
        f'({data.pool.file(data.pool[0].name)}), got {_words(image)} '
        f'({path}); convert the ones or the others'
    ]


def enter_alike(pool: Pool, problems: list[str]) -> None:
    """Check that the network can take all images of the pool.

    One number of channels, and one scale where they are of several types:
    an 8-bit file among those of 16 bits is black to the network.
    """
    names = pool.of_each_content()
    if len(names) > 1:  # a single image may be dark
        names = pool.of_each_content(_OF_EACH)
    channels: dict[int, str] = {}
    spreads: dict[str, tuple[float, str]] = {}
    for name in dict.fromkeys([*pool.holes[:1], *names]):
        try:
            entering = query_batch(pool, [name])['img'][0]
            if not np.isfinite(entering).all():
                problems.append(
                    f'{pool.key}: wanted images of finite numbers, got NaN '
                    f'or infinite ones in what the network sees of '
                    f'{pool.file(name)}'
                    + f' ({count_of(pool.holes, "image")} with such values)'
                    * bool(pool.holes)
                    + '; fill them (np.nan_to_num) in the files, or in a step '
                    'of your own before Normalize in every pipeline'
                )
                return
            count, spread = int(entering.shape[1]), float(np.ptp(entering))
        except (DataError, LookupError, TypeError, AttributeError):
            return  # reported with the samples
        made, path = pool.contents.get(name, PLAIN), pool.file(name)
        channels.setdefault(count, path)
        kind = made.dtype
        if made.dtype == 'uint8' and made.stretched:
            kind += ' cut from more bits'
        if spread > spreads.get(kind, (0.0, ''))[0]:
            spreads[kind] = spread, f'{kind} ({path})'
    if len(channels) > 1:
        problems.append(_several_channels(pool.key, channels))
    elif spreads:
        ends = sorted(spreads.values())
        if ends[-1][0] > _SCALE * ends[0][0]:
            problems.append(
                f'{pool.key}: wanted images with one scale, got '
                f'{ends[0][1]} beside {ends[-1][1]}, whose '
                f'values vary {ends[-1][0] / ends[0][0]:.0f} times as much '
                'where they enter the network; convert the files to one type'
            )


def keep_their_values(data: Data, problems: list[str]) -> None:
    """Check that no training step cuts values down to 8 bits, or fails.

    mmseg's ``PhotoMetricDistortion``, for example, turns values above 255
    into 255, and fails on grey images in three of four draws.
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
    """Tell whether a step cut values to 8 bits."""
    if not isinstance(after, np.ndarray) or after.dtype != np.uint8:
        return False
    if not isinstance(before, np.ndarray) or before.dtype == np.uint8:
        return False
    lowest, highest = _ends(before)
    return lowest < 0 or highest > 255 or highest <= 1


def _alike(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Tell whether two readings of a file have one scale and channels."""
    channels = [1 if x.ndim == 2 else x.shape[-1] for x in (one, other)]
    if channels[0] != channels[1]:
        return False
    low, high = sorted(max(map(abs, _ends(x))) for x in (one, other))
    return not high > _FACTOR * low


def _ends(image: NDArray[Any]) -> tuple[float, float]:
    """Find the lowest and the highest finite value; zeros without any."""
    finite = image[np.isfinite(image)] if image.dtype.kind == 'f' else image
    return (
        (float(finite.min()), float(finite.max())) if finite.size else (0, 0)
    )


def _words(image: NDArray[Any]) -> str:
    """Describe type, shape and range of an image."""
    lowest, highest = _ends(image)
    return f'{image.dtype} {image.shape} from {lowest:.5g} to {highest:.5g}'
