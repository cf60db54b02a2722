"""Open the pool, all images that may be queried, and load its batches."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mmcv.parallel import DataContainer, collate
from mmseg.datasets import CustomDataset
from mmseg.datasets.pipelines import LoadImageFromFile
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from segal.active.dataset.base import (
    LoadFirst,
    image_file,
    image_name,
    reading,
)
from segal.active.images.view import (
    PLAIN,
    Content,
    ImageView,
    content_of,
    ranges_over,
)
from segal.active.label_store.pool_file import is_begun
from segal.errors import ConfigError, DataError
from segal.files import checksum, stamp
from segal.seeding import key as keyed
from segal.seeding import seeded
from segal.structures import PoolImage
from segal.terminal import progress

SIZE_CACHE = 'pool_sizes.json'

SAMPLE = 16
"""Images of each content from which the range of values is computed."""


class Pool(Sequence[PoolImage]):
    """The images of ``data.query``, by position and by name.

    The data set is built with ``test_mode=True``; ``contents`` has those of
    images that are not 8-bit colour, by name.
    """

    def __init__(
        self,
        dataset: CustomDataset,
        images: Sequence[PoolImage],
        key: str = 'data.query',
        contents: Mapping[str, Content] | None = None,
    ) -> None:
        self.dataset = dataset
        self.contents = dict(contents or {})
        self.channels: tuple[int, ...] | None = None
        self.holes: list[str] = []
        """Names of images with NaN or infinite values."""
        self.changed: list[str] = []
        """Names of images whose file is another than in the begun run."""
        self.key = key
        self.images = list(images)
        self.position = {image.name: i for i, image in enumerate(images)}
        self._loader = LoadFirst(dataset, key)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> Any:
        """Return the image at a position."""
        return self.images[index]

    def __iter__(self) -> Iterator[PoolImage]:
        return iter(self.images)

    @property
    def loading_steps(self) -> list[Any]:
        """Return the steps of the pipeline that read an image file."""
        return self._loader.load

    @cached_property
    def loading(self) -> list[str]:
        """Describe the loading steps, alike in every process."""
        return [
            f'{type(step).__name__} {_plain(vars(step))}'
            for step in self.loading_steps
        ]

    def display_fingerprint(self) -> str:
        """Compute a fingerprint of all that :meth:`read_image` depends on.

        Returns:
            Empty where mmseg's own step reads images of 8-bit colour.
        """
        view = self.view.fingerprint(self.contents)
        usual = LoadImageFromFile()
        if self.loading == [f'{type(usual).__name__} {_plain(vars(usual))}']:
            return view
        text = repr((*self.loading, view))
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def file(self, name: str) -> str:
        """Return the path of an image."""
        return image_file(self.dataset, self.position[name])

    def load_image(self, name: str) -> Any:
        """Read an image as its loader gives it, (H, W) or (H, W, C)."""
        return self._loader.load_image(self.position[name])['img']

    def read_image(self, name: str) -> NDArray[np.uint8]:
        """Read an image for display: uint8 (H, W, 3), RGB."""
        image = self.load_image(name)
        return self.view.rgb(image, content_of(image, self.file(name)))

    @cached_property
    def view(self) -> ImageView:
        """Return the conversion of images to 8-bit RGB, equal on all ranks."""
        backends = [
            getattr(step, 'imdecode_backend', None)
            for step in self.loading_steps
            if hasattr(step, 'imdecode_backend')
        ]
        rgb_first = 'tifffile' in backends
        view = ImageView(
            self.channels, bool(backends) and not rgb_first, rgb_first
        )
        found = ranges_over(self.contents, view, self._sample)
        return replace(view, ranges=found)

    def show_channels(self, channels: Sequence[int] | None) -> list[str]:
        """Choose the channels shown as R, G and B, before reading an image.

        None is the default of :class:`ImageView`. Returns problems.
        """
        view = ImageView(tuple(channels) if channels else None)
        for name in self.of_each_content():
            try:
                view.order(self.contents.get(name, PLAIN))
            except ConfigError as error:
                return error.problems
        self.channels = view.channels
        return []

    def _sample(self, content: Content) -> Iterator[Any]:
        """Load a fixed sample of the images of a content."""
        names = [name for name, one in self.contents.items() if one == content]
        for name in sorted(names, key=lambda x: keyed('view', x))[:SAMPLE]:
            yield self.load_image(name)

    def of_each_content(self, count: int = 1) -> list[str]:
        """List the names of some images of each content."""
        found: dict[Content, list[str]] = {}
        for image in self.images:
            content = self.contents.get(image.name, PLAIN)
            found.setdefault(content, []).append(image.name)
        return [name for names in found.values() for name in names[:count]]


def open_pool(
    dataset: CustomDataset,
    work_dir: Path | None = None,
    key: str = 'data.query',
) -> Pool:
    """Decode every image of ``data.query`` once, and open the pool.

    Sizes come from the decoder of training and query, since a header does not
    show an EXIF rotation. A damaged image is found before labels are bought.
    Sizes are cached in the ``work_dir``, with the size, modification time and
    checksum of the file. Once there are labels, a file with other bytes keeps
    its row, and is in ``changed`` until it is put back. The pool has the data
    set's order.

    Raises:
        ConfigError: There are no images, or two of one name.
        DataError: Images that cannot be decoded, each named.
    """
    names = [image_name(dataset, i) for i in range(len(dataset))]
    if not names:
        raise ConfigError(
            f'{key}: wanted at least one image, got an empty pool: '
            f'nothing ends in {dataset.img_suffix!r} in {dataset.img_dir}'
            + (f' for the lines of {dataset.split}' if dataset.split else '')
            + '; correct img_dir, img_suffix or split'
        )
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ConfigError(
            f'{key}: wanted every image once, got {twice[:3]} twice; '
            'remove the second'
        )
    odd = [x for x in names if x.encode(errors='replace').decode() != x]
    if odd:
        raise DataError(
            f'{key}: wanted file names in UTF-8, got {odd[0]!a}'
            + f' and {len(odd) - 1} more' * (len(odd) > 1)
            + '; rename them'
        )
    loader = LoadFirst(dataset, key)
    known = read_sizes(work_dir)

    def look(index: int, anew: bool) -> _Look | DataError:
        try:
            file = image_file(dataset, index)
            row = None if anew else known.get(names[index])
            if row and row[2:4] == stamp(file):
                return _Look((row[0], row[1]), Content(*row[5:]), row[4])
            image = loader.load_image(index)['img']
            content = content_of(image, file)
            whole = image.dtype.kind != 'f' or bool(np.isfinite(image).all())
            height, width = image.shape[:2]
            size = int(height), int(width)
            return _Look(size, content, checksum(file), whole)
        except FileNotFoundError:
            return DataError(
                f'{image_file(dataset, index)}: the file is '
                f'missing; restore it, or take it out of {key}'
            )
        except DataError as error:
            return error

    # another loader may have made the cache: compare one image
    anew = not known or look(0, True) != look(0, False)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
        found = threads.map(partial(look, anew=anew), range(len(names)))
        looks, broken = [], []
        with progress(len(names), 'checking the pool', delay=2) as bar:
            for one in found:
                if isinstance(one, DataError):
                    broken.append(str(one))
                else:
                    looks.append(one)
                bar.update()
    if broken:
        more = f'\n  ... and {len(broken) - 10} more' * (len(broken) > 10)
        raise DataError('\n  '.join(broken[:10]) + more)
    seen = dict(zip(names, looks, strict=True))
    pool = Pool(
        dataset,
        [PoolImage(name, one.size) for name, one in seen.items()],
        key,
        {x: one.content for x, one in seen.items() if one.content != PLAIN},
    )
    pool.holes = [name for name, one in seen.items() if not one.whole]
    if work_dir is None:
        return pool
    fresh = {
        name: [*one.size, *stamp(pool.file(name)), one.checksum, *one.content]
        for name, one in seen.items()
    }
    if is_begun(work_dir):
        others = {
            name: row
            for name, row in known.items()
            if name in fresh and row[2:5:2] != fresh[name][2:5:2]
        }
        pool.changed = list(others)
        fresh |= others  # until they are put back
    for name in set(pool.holes).difference(pool.changed):
        del fresh[name]  # read at each start
    if fresh != known:
        work_dir.mkdir(parents=True, exist_ok=True)
        temporary = work_dir / f'{SIZE_CACHE}.{os.getpid()}'
        temporary.write_text(json.dumps(fresh))
        temporary.replace(work_dir / SIZE_CACHE)
    return pool


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """List the attributes of a step that are the same in every process."""
    simple = (str, int, float, bool, type(None), dict, list, tuple)
    arrays = (np.ndarray, np.generic)
    plain = {
        name: value.tolist() if isinstance(value, arrays) else value
        for name, value in sorted(options.items())
        if name != 'file_client'
    }
    return {x: one for x, one in plain.items() if isinstance(one, simple)}


class _Look(NamedTuple):
    """What was found in an image file.

    Attributes:
        size: (H, W).
        content: Type, channels and bits.
        checksum: Of the bytes of the file.
        whole: Whether no value is NaN or infinite.
    """

    size: tuple[int, int]
    content: Content
    checksum: int
    whole: bool = True


def read_sizes(work_dir: Path | None) -> dict[str, list[Any]]:
    """Read the cached rows; empty if the file cannot be read.

    Returns:
        Name -> height, width, bytes, modification time in ns, checksum, and
        the three fields of :class:`Content`.
    """
    if work_dir is None:
        return {}
    try:
        found = json.loads((work_dir / SIZE_CACHE).read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    types = [*[int] * 5, str, int, bool]
    return {
        name: row
        for name, row in found.items()
        if isinstance(row, list) and list(map(type, row)) == types
    }


class _QuerySet(Dataset):
    """``data.query``, with random steps keyed by the image's name."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    def __len__(self) -> int:
        return len(self.pool)

    def __getitem__(self, index: int) -> dict[str, Any]:
        pool = self.pool
        with (
            seeded('query', pool[index].name),
            reading(pool.dataset, index, pool.key),
        ):
            sample = pool.dataset[index]
        _check_size(pool, index, sample)
        if isinstance(sample.get('img'), list):  # a bundle wraps them
            sample['img'] = [
                view.data if isinstance(view, DataContainer) else view
                for view in sample['img']
            ]
        return sample


def _check_size(pool: Pool, index: int, sample: dict[str, Any]) -> None:
    """Check that an image has the size that it had in the opened pool."""
    metas = sample.get('img_metas')
    meta = (metas[0] if isinstance(metas, list) and metas else metas) or None
    shape = getattr(meta, 'data', {}).get('ori_shape')
    wanted = tuple(pool[index].size)
    if shape is not None and tuple(shape[:2]) != wanted:
        raise DataError(
            f'{image_file(pool.dataset, index)}: wanted the size (H, W) = '
            f'{wanted} of the pool, got {tuple(shape[:2])}; the image was '
            'changed while the experiment runs: restore it'
        )


def query_batch(pool: Pool, names: Sequence[str]) -> dict[str, Any]:
    """Read one test batch of images of one size."""
    samples = [_QuerySet(pool)[pool.position[name]] for name in names]
    return collate(samples, samples_per_gpu=len(samples))


def query_loader(
    pool: Pool, names: Sequence[str], batch_size: int, workers: int
) -> tuple[DataLoader, list[list[str]]]:
    """Build the loader of test batches of some images of the pool.

    Images of one batch have the same size; ``names`` may have any order.
    Returns the loader, and the names of each of its batches.
    """
    by_size: dict[tuple[int, int], list[str]] = {}
    for name in names:
        by_size.setdefault(pool[pool.position[name]].size, []).append(name)
    batches = [
        same[i : i + batch_size]
        for same in by_size.values()
        for i in range(0, len(same), batch_size)
    ]
    loader = DataLoader(
        _QuerySet(pool),
        batch_sampler=[
            [pool.position[name] for name in batch] for batch in batches
        ],
        num_workers=min(workers, len(batches)),
        collate_fn=partial(collate, samples_per_gpu=batch_size),
    )
    return loader, batches
