"""The pool: every image that may be asked about, and how a query reads it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from mmcv.parallel import DataContainer, collate
from mmseg.datasets import CustomDataset
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from segal.active.dataset.base import (
    LoadFirst,
    image_file,
    image_name,
    reading,
)
from segal.errors import ConfigError, DataError
from segal.seeding import seeded
from segal.structures import PoolImage

SIZE_CACHE = 'pool_sizes.json'


class Pool(Sequence[PoolImage]):
    """The images of ``data.query``, by position and by name.

    Args:
        dataset: ``data.query``, built with ``test_mode=True``.
        images: One for each image of the data set, in its order.
        key: Where the images are named, for errors.
    """

    def __init__(
        self,
        dataset: CustomDataset,
        images: Sequence[PoolImage],
        key: str = 'data.query',
    ) -> None:
        self.dataset = dataset
        self.key = key
        self.images = list(images)
        self.position = {image.name: i for i, image in enumerate(images)}
        self._loader = LoadFirst(dataset, key)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> Any:
        """The image at a position."""
        return self.images[index]

    def __iter__(self) -> Iterator[PoolImage]:
        return iter(self.images)

    @property
    def loading_steps(self) -> list[Any]:
        """The steps of the pipeline that make an image of a file."""
        return self._loader.load

    def file(self, name: str) -> str:
        """Path of an image."""
        return image_file(self.dataset, self.position[name])

    def read_image(self, name: str) -> NDArray[np.uint8]:
        """An image as people see it: uint8 (H, W, 3), RGB."""
        image = self._loader.load_image(self.position[name])['img']
        return np.ascontiguousarray(image[..., ::-1]).astype(np.uint8)


def open_pool(
    dataset: CustomDataset,
    cache: Path | None = None,
    key: str = 'data.query',
) -> Pool:
    """Look at every image of ``data.query`` once.

    Sizes come from the decoder that training and query use, because an EXIF
    rotation makes a header lie; so a broken image is found before anything
    is bought. They are remembered with the file's size and time of change.

    Args:
        dataset: ``data.query``, built.
        cache: Folder to remember sizes in.
        key: Where the images are named, for errors.

    Returns:
        The pool, in the data set's order.

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
    known = _read_cache(cache)
    loader = LoadFirst(dataset, key)

    def stamp(index: int) -> list[int]:
        stat = os.stat(image_file(dataset, index))
        return [stat.st_size, stat.st_mtime_ns]

    def look(index: int) -> tuple[int, int] | DataError:
        remembered = known.get(names[index])
        try:
            if remembered and remembered[2:] == stamp(index):
                return (remembered[0], remembered[1])
            return loader.load_image(index)['img'].shape[:2]
        except FileNotFoundError:
            return DataError(
                f'{image_file(dataset, index)}: the file is '
                f'missing; restore it, or take it out of {key}'
            )
        except DataError as error:
            return error

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
        sizes = list(
            tqdm(
                threads.map(look, range(len(names))),
                total=len(names),
                desc='checking the pool',
                unit='image',
                leave=False,
                delay=2,
                mininterval=1,
            )
        )
    broken = [str(size) for size in sizes if isinstance(size, DataError)]
    if broken:
        more = f'\n  ... and {len(broken) - 10} more' * (len(broken) > 10)
        raise DataError('\n  '.join(broken[:10]) + more)
    images = [
        PoolImage(name, (int(size[0]), int(size[1])))  # type: ignore
        for name, size in zip(names, sizes, strict=True)
    ]
    if cache is not None:
        fresh = {
            image.name: [*image.size, *stamp(i)]
            for i, image in enumerate(images)
        }
        if fresh != known:
            cache.mkdir(parents=True, exist_ok=True)
            temporary = cache / f'{SIZE_CACHE}.{os.getpid()}'
            temporary.write_text(json.dumps(fresh))
            temporary.replace(cache / SIZE_CACHE)
    return Pool(dataset, images, key)


def _read_cache(cache: Path | None) -> dict[str, list[int]]:
    """What was remembered, nothing where it cannot be read."""
    if cache is None:
        return {}
    try:
        found = json.loads((cache / SIZE_CACHE).read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {
        name: known
        for name, known in found.items()
        if isinstance(known, list)
        and len(known) == 4
        and all(isinstance(number, int) for number in known)
    }


class _QuerySet(Dataset):
    """``data.query`` with its random steps, if any, drawn from the name."""

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
    """Whether an image is still as large as when the pool was opened.

    Raises:
        DataError: It is not.
    """
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
    """One test batch of images of one size, read here and now."""
    samples = [_QuerySet(pool)[pool.position[name]] for name in names]
    return collate(samples, samples_per_gpu=len(samples))


def query_loader(
    pool: Pool,
    names: Sequence[str],
    batch_size: int,
    workers: int,
) -> tuple[DataLoader, list[list[str]]]:
    """Test batches of some images of the pool.

    Images of different size do not fit into one batch, so they are grouped
    by size.

    Args:
        pool: The pool.
        names: Which images, in any order.
        batch_size: At most so many a batch.
        workers: Loader processes, 0 for none.

    Returns:
        The loader, and the names of each of its batches.
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
