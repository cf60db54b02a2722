"""The data sets of an experiment, built from its config."""

from __future__ import annotations

import os.path as osp
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mmcv import Config, ConfigDict
from mmseg.datasets import CustomDataset, build_dataset
from numpy.typing import NDArray

from segal.active.dataset.base import LoadFirst, image_name
from segal.active.dataset.pool import Pool, open_pool
from segal.config.built import not_built
from segal.config.pipelines import entries
from segal.errors import ConfigError, SegALError
from segal.utils.smoke import keep_few


@dataclass
class Data:
    """What an experiment trains, asks and evaluates on.

    Attributes:
        pool: ``data.query``.
        view: The train entry with the pool's images.
        positions: Image name -> position in ``view``.
        sources: Fully labelled train entries beside it.
        val: ``data.val``.
        images: Of ``data.query``; a smoke run's pool has only some of them.
    """

    pool: Pool
    view: CustomDataset
    positions: dict[str, int]
    val: CustomDataset
    sources: list[Any] = field(default_factory=list)
    images: int = 0

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the C classes."""
        return tuple(self.view.CLASSES or ())

    @property
    def palette(self) -> NDArray[np.uint8]:
        """uint8 (C, 3), RGB."""
        return np.asarray(self.view.PALETTE, np.uint8)

    def annotation(self, name: str) -> NDArray[np.uint8]:
        """Ground truth of a pool image: uint8 (H, W), training ids."""
        return LoadFirst(self.view, 'data.train').load_annotation(
            self.positions[name]
        )


def build_data(
    cfg: Config, cache: Path | None, few: int | None = None
) -> Data:
    """Build every data set and find the pool in the training set.

    Args:
        cfg: Translated config.
        cache: Folder to remember image sizes in.
        few: Images of each data set for a smoke run; None: all.

    Raises:
        ConfigError: Folders that are not there, unknown types, a pool that
            no train entry shows; all of them at once.
        DataError: Images that cannot be read.
    """
    problems: list[str] = []

    def build(key: str, entry: Any, **defaults: Any) -> Any:
        missing = missing_paths(key, entry)
        problems.extend(missing)
        if missing:
            return None
        try:
            return build_dataset(ConfigDict(entry).copy(), defaults or None)
        except SegALError as error:
            problems.append(f'{key}: {error}')
        except Exception as error:
            problems.append(not_built(key, entry, error))
        return None

    query = build('data.query', cfg.data.query, test_mode=True)
    val = build('data.val', cfg.data.val, test_mode=True)
    train = {
        f'data.train[{i}]'
        if isinstance(cfg.data.train, list | tuple)
        else 'data.train': entry
        for i, entry in enumerate(entries(cfg.data.train))
    }
    built = {key: build(key, entry) for key, entry in train.items()}
    if problems:
        raise ConfigError(problems)
    names = {image_name(query, i) for i in range(len(query))}
    if few is not None:
        keep_few(query, few)
        keep_few(val, few)
    pool = open_pool(query, cache)
    view, positions, sources = None, {}, []
    for key, dataset in built.items():
        if not isinstance(dataset, CustomDataset):
            sources.append(dataset)
            continue
        found = {image_name(dataset, i): i for i in range(len(dataset))}
        shared = found.keys() & names
        if not shared:
            sources.append(dataset)
        elif view is not None:
            problems.append(
                f'{key}: wanted one train entry with the images of '
                'data.query, got a second; remove it'
            )
        elif len(shared) < len(names) or len(found) > len(names):
            problems.append(
                f'{key}: wanted exactly the {len(names)} images of '
                f'data.query, got {len(found)}, {len(shared)} of them in it; '
                'give both the same img_dir and split, and write fully '
                'labelled images as a train entry of their own'
            )
        else:
            view, positions = dataset, found
    if view is None and not problems:
        problems.append(
            'data.train: wanted an entry with the images of data.query (its '
            f'augmented view), got none: data.query has {pool[0].name!r}, '
            + ', '.join(
                f'{key} has {image_name(one, 0)!r}'
                for key, one in built.items()
                if isinstance(one, CustomDataset) and len(one)
            )
            + '; give both the same type, data_root and img_dir'
        )
    if not problems and view is not None and not view.CLASSES:
        problems.append(
            'data.train.classes: wanted the names of the '
            'classes, got none; list them'
        )
    if problems:
        raise ConfigError(problems)
    assert view is not None
    if few is not None:
        for source in sources:
            keep_few(source, few)
    return Data(pool, view, positions, val, sources, len(names))


def missing_paths(key: str, entry: Mapping[str, Any]) -> list[str]:
    """One sentence for each folder or list of a data set that is not there.

    Args:
        key: Where the entry stands in the config.
        entry: Config of the data set.
    """
    problems = []
    root = entry.get('data_root')
    for part in ('img_dir', 'ann_dir', 'split'):
        if part == 'ann_dir' and key == 'data.query':
            continue
        value = entry.get(part)
        for path in value if isinstance(value, list | tuple) else [value]:
            if not isinstance(path, str) or '://' in path:
                continue
            full = path if not root else osp.join(root, path)
            if 'makes' in entry.get('type', '') or not osp.exists(full):
                problems.append(
                    f'{key}.{part}: wanted {full}, which does not exist '
                    f'(seen from {Path.cwd()}); prepare the data as the '
                    "experiment's README says, or correct data_root"
                )
    return problems
