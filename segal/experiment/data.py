"""Build the data sets of an experiment from its config."""

from __future__ import annotations

import filecmp
import os
import os.path as osp
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mmcv import Config, ConfigDict
from mmseg.datasets import CustomDataset
from mmseg.utils import get_root_logger
from numpy.typing import NDArray

from segal.active.dataset.base import LoadFirst, image_file, image_name
from segal.active.dataset.class_names import check_class_names
from segal.active.dataset.listing import build_listed
from segal.active.dataset.orientation import look_at_orientations
from segal.active.dataset.pool import Pool, open_pool
from segal.errors import ConfigError, DataError, SegALError
from segal.openmmlab.built import not_built
from segal.openmmlab.pipelines import entries


@dataclass
class Data:
    """The data sets of an experiment: training, pool, evaluation.

    Attributes:
        pool: ``data.query``.
        view: The train entry with the pool's images.
        positions: Image name -> position in ``view``.
        sources: Key of the config -> fully labelled train entry beside it.
        val: ``data.val``.
        images: Of ``data.query``; a smoke run's pool has only some of them.
    """

    pool: Pool
    view: CustomDataset
    positions: dict[str, int]
    val: CustomDataset
    sources: dict[str, Any] = field(default_factory=dict)
    images: int = 0

    @property
    def source_images(self) -> int:
        """Count the images of all sources."""
        return sum(len(source) for source in self.sources.values())

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the names of the C classes."""
        return tuple(self.view.CLASSES or ())

    @property
    def palette(self) -> NDArray[np.uint8]:
        """Return the palette: uint8 (C, 3), RGB."""
        return np.asarray(self.view.PALETTE, np.uint8)

    def annotation(self, name: str) -> NDArray[np.uint8]:
        """Read the annotation of a pool image: uint8 (H, W), training ids."""
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
    broken: list[str] = []
    notes: dict[str, str] = {}

    def build(key: str, entry: Any, **defaults: Any) -> Any:
        missing = missing_paths(key, entry)
        problems.extend(missing)
        if missing:
            return None
        try:
            dataset, said = build_listed(
                ConfigDict(entry).copy(), defaults or None
            )
            for note in said:  # once for each folder
                notes.setdefault(note, key)
            return dataset
        except DataError as error:
            broken.append(f'{key}: {error}')
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
    problems += _no_pool(query)
    for note, key in notes.items():
        get_root_logger().warning(f'{key}: {note}')
    if problems:
        raise ConfigError(problems)
    if broken:
        raise DataError('\n  '.join(broken))
    files = {
        image_name(query, i): image_file(query, i) for i in range(len(query))
    }
    for dataset in (query, val):
        _keep_few(dataset, few)
    pool = open_pool(query, cache)
    view_key, keys = _find_view(files, built, problems)
    if view_key is None:
        raise ConfigError(problems)
    view = built[view_key]
    problems += check_class_names(
        view.CLASSES,
        view_key,
        {
            'data.query': query,
            **{key: built[key] for key in keys},
            'data.val': val,
        },
        cfg.data.get('test'),
    )
    if problems:
        raise ConfigError(problems)
    _check_orientations(
        {'data.query': query, view_key: view, 'data.val': val}
        | {key: built[key] for key in keys}
    )
    positions = {image_name(view, i): i for i in range(len(view))}
    sources = {key: built[key] for key in keys}
    _check_apart(files, sources, val)
    for source in sources.values():
        _keep_few(source, few)
    return Data(pool, view, positions, val, sources, len(files))


def _keep_few(dataset: Any, count: int | None) -> None:
    """Cut a data set of mmseg's to its first images, in place."""
    if isinstance(dataset, CustomDataset):
        dataset.img_infos = dataset.img_infos[:count]


def _no_pool(query: Any) -> list[str]:
    """Check that ``data.query`` is an mmseg data set."""
    if query is None or isinstance(query, CustomDataset):
        return []
    return [
        "data.query.type: wanted mmseg's CustomDataset or a class of it, got "
        f'{type(query).__name__}; name the data set that it is made of'
    ]


def _check_apart(
    pool: Mapping[str, str], sources: Mapping[str, Any], val: Any
) -> None:
    """Refuse images of the pool whose labels a source would give away.

    Warns of copies of them under their names, and of images of the pool that
    the evaluation reads.
    """
    own, alike = {}, {}
    for file in pool.values():
        with suppress(OSError):  # not on this disk
            found = os.stat(file)
            own[found.st_dev, found.st_ino] = file
            alike[osp.basename(file), found.st_size] = file
    problems = []
    for key, dataset in {**sources, 'data.val': val}.items():
        if not isinstance(dataset, CustomDataset):
            continue
        same, copies = [], []
        for file in (image_file(dataset, i) for i in range(len(dataset))):
            with suppress(OSError):
                found = os.stat(file)
                if own.get((found.st_dev, found.st_ino)):
                    same.append(file)
                    continue
                copy = alike.get((osp.basename(file), found.st_size))
                if copy and filecmp.cmp(file, copy, shallow=False):
                    copies.append(file)
        if dataset is val:
            copies, same = same + copies, []
        if same:
            problems.append(
                f'{key}: wanted labelled images beside the pool, got '
                f'{len(same)} of data.query, such as {same[0]}: all their '
                'labels would be learned, and none of them bought; take the '
                'images of the pool out of it, or the labelled ones out of '
                'data.query'
            )
        elif copies:
            get_root_logger().warning(
                f'{key}: {len(copies)} of its images are images of '
                f'data.query, or copies of them, such as {copies[0]}: '
                + (
                    'what is learned is evaluated, so scores are too high'
                    if dataset is val
                    else 'all their labels are learned, and none of them '
                    'bought'
                )
            )
    if problems:
        raise ConfigError(problems)


def _check_orientations(sets: Mapping[str, Any]) -> None:
    """Refuse images that EXIF turns and whose labels are not turned.

    Args:
        sets: Key -> data set; the pool and its augmented view come first.
    """
    problems: list[str] = []
    notes: dict[str, str] = {}
    seen = {}
    for key, dataset in sets.items():
        seen[key] = look_at_orientations(dataset, key)
        if key != 'data.query':  # its annotations are the view's
            problems += seen[key].problems
        for note in seen[key].notes:
            notes.setdefault(note, key)
    query, view = list(sets)[:2]
    both = seen[view].found and seen[query].found
    if both and seen[query].turns != seen[view].turns:
        one, other = sorted((query, view), key=lambda x: not seen[x].turns)
        problems.append(
            f'{one}.pipeline: wanted images as in {other}.pipeline, which '
            'does not turn them by their EXIF orientation, while this one '
            'does; give both the same loading step'
        )
    for note, key in notes.items():
        get_root_logger().warning(f'{key}: {note}')
    if problems:
        raise DataError('\n  '.join(problems))


def _find_view(
    pool: Mapping[str, str], built: Mapping[str, Any], problems: list[str]
) -> tuple[str | None, list[str]]:
    """Find the train entry that shows the pool, and the labelled sources.

    Where images of several entries have the pool's names (as copies of one
    data set in other colours have), the one with its very files shows it.

    Args:
        pool: Name of each image of ``data.query`` -> its file.
        built: Key -> data set, of each train entry.
        problems: Gets one for each entry that is neither.

    Returns:
        The key of the view, None where there are problems; and those of the
        sources.
    """
    names = {
        key: {image_name(dataset, i): i for i in range(len(dataset))}
        for key, dataset in built.items()
        if isinstance(dataset, CustomDataset)
    }
    shared = {key: found.keys() & pool.keys() for key, found in names.items()}
    views = [key for key, both in shared.items() if both]
    same_files = []
    for key in views:
        name = min(shared[key])
        file = image_file(built[key], names[key][name])
        if osp.realpath(file) == osp.realpath(pool[name]):
            same_files.append(key)
    views = same_files or views
    sources = [key for key in built if key not in views]
    for key in views[1:]:
        problems.append(
            f'{key}: wanted one train entry with the images of '
            'data.query, got a second; remove it'
        )
    for key in views[:1]:
        if len(shared[key]) < len(pool) or len(names[key]) > len(pool):
            problems.append(
                f'{key}: wanted exactly the {len(pool)} images of '
                f'data.query, got {len(names[key])}, {len(shared[key])} of '
                'them in it; give both the same img_dir and split, and write '
                'fully labelled images as a train entry of their own'
            )
    if not views:
        problems.append(
            'data.train: wanted an entry with the images of data.query (its '
            f'augmented view), got none: data.query has {next(iter(pool))!r}, '
            + ', '.join(
                f'{key} has {next(iter(found))!r}'
                for key, found in names.items()
                if found
            )
            + '; give both the same type, data_root and img_dir'
        )
    for key in sources:
        if len(built[key]) == 0:
            problems.append(
                f'{key}: wanted labelled images, got none; correct img_dir, '
                'img_suffix or split, or remove it'
            )
    return (None if problems else views[0]), sources


def missing_paths(key: str, entry: Mapping[str, Any]) -> list[str]:
    """List the folders and split files of a data set that are missing."""
    problems = []
    root = entry.get('data_root')
    if not isinstance(root, str | None):
        return []  # the config's reader reports it
    for part in ('img_dir', 'ann_dir', 'split'):
        if part == 'ann_dir' and key == 'data.query':
            continue
        value = entry.get(part)
        for path in value if isinstance(value, list | tuple) else [value]:
            if not isinstance(path, str) or '://' in path:
                continue
            full = path if not root else osp.join(root, path)
            if not osp.exists(full):
                makes = ''
                if (key, part) == ('data.val', 'ann_dir'):
                    makes = ', or answer some pixels: segal annotate val'
                problems.append(
                    f'{key}.{part}: wanted {full}, which does not exist '
                    f'(seen from {Path.cwd()}); prepare the data as the '
                    f"experiment's README says, or correct data_root{makes}"
                )
    return problems
