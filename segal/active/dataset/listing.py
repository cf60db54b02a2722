"""List the images and annotations of an mmseg data set.

mmseg itself lists hidden files, takes annotations beside the images for
images, replaces a suffix anywhere in a path, and wants a split file without
suffixes or comments. Clean folders are listed as mmseg lists them.
"""

from __future__ import annotations

import os.path as osp
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from mmcv.fileio.file_client import HardDiskBackend
from mmcv.utils import print_log
from mmseg.datasets import CustomDataset
from mmseg.datasets import build_dataset as mmseg_build_dataset
from mmseg.utils import get_root_logger

from segal.active.dataset.joined import joined
from segal.active.dataset.scan import (
    Folder,
    count_of,
    is_hidden,
    looks_like_image,
    named,
    scan,
)
from segal.active.dataset.split_file import Places, decode, read_split
from segal.errors import ConfigError, DataError
from segal.visualization.drawing import distinct_palette

_SHOWN = 10
"""Missing files that an error names at most."""


@dataclass
class Found:
    """The notes of a listing, its problems, and missing files of a split."""

    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def build_listed(
    section: Any, defaults: Mapping[str, Any] | None = None
) -> tuple[Any, list[str]]:
    """Build a data set from its config, with our listing of its images.

    Returns the data set, and notes on files that are left out.

    Raises:
        ConfigError: Wrong suffixes or lines of a split.
        DataError: Missing images of a split.
    """
    with listing() as found:
        dataset = mmseg_build_dataset(section, defaults)
    check(found)
    dataset = joined(dataset)
    if _lacks_colours(dataset, section):  # mmseg draws them at random
        dataset.PALETTE = distinct_palette(len(dataset.CLASSES))
    return dataset, found.notes + _hidden_of_own(dataset)


def _lacks_colours(dataset: Any, section: Any) -> bool:
    """Tell whether neither a data set nor its config names colours."""
    return (
        isinstance(dataset, CustomDataset)
        and dataset.custom_classes
        and type(dataset).PALETTE is None
        and section.get('palette') is None
    )


def check(found: Found) -> None:
    """Raise the problems of a listing, as :func:`build_listed` does."""
    if found.problems:
        raise ConfigError(found.problems)
    if found.lost:
        more = len(found.lost) - _SHOWN
        raise DataError(
            '\n  '.join(found.lost[:_SHOWN])
            + (f'\n  ... and {more} more' if more > 0 else '')
        )


@contextmanager
def listing() -> Iterator[Found]:
    """List the images of each mmseg data set that is built in this block.

    A class with its own ``load_annotations`` keeps it. Notes and problems are
    filled in while data sets are built.
    """
    original, found = CustomDataset.load_annotations, Found()
    if original.__module__ != CustomDataset.__module__:
        yield found  # the user's method, or an outer call of this function
        return

    def load_annotations(
        self: CustomDataset,
        img_dir: str,
        img_suffix: Any,
        ann_dir: str | None,
        seg_map_suffix: Any,
        split: str | None,
    ) -> list[dict[str, Any]]:
        lister = _Lister(self, img_dir, img_suffix, ann_dir, seg_map_suffix)
        try:
            infos = lister.infos(split, found)
        except ConfigError as error:  # mmcv would wrap it; check() raises it
            found.problems += error.problems
            return []
        print_log(f'Loaded {len(infos)} images', logger=get_root_logger())
        return infos

    CustomDataset.load_annotations = load_annotations
    try:
        yield found
    finally:
        CustomDataset.load_annotations = original


def _hidden_of_own(dataset: Any) -> list[str]:
    """Note hidden files in the list of a user's own data set class."""
    if not isinstance(dataset, CustomDataset) or dataset.split is not None:
        return []
    names = [
        name
        for info in dataset.img_infos
        if is_hidden(name := str(info.get('filename', '')))
    ]
    if not names:
        return []
    return [
        f'load_annotations of {type(dataset).__name__} lists '
        f'{count_of(names, "hidden file")} as images: {named(names)}'
    ]


class _Lister:
    """List the images of one data set that is being built."""

    def __init__(
        self,
        dataset: CustomDataset,
        img_dir: str,
        img_suffix: Any,
        ann_dir: str | None,
        seg_map_suffix: Any,
    ) -> None:
        self.client = dataset.file_client
        self.root = dataset.data_root
        self.img_dir, self.ann_dir = img_dir, ann_dir
        self.images = _suffixes('img_suffix', img_suffix)
        self.maps: tuple[str, ...] = ()
        if ann_dir is not None or seg_map_suffix:
            self.maps = _suffixes('seg_map_suffix', seg_map_suffix)
        self.on_disk = isinstance(self.client.client, HardDiskBackend)

    def infos(self, split: str | None, found: Found) -> list[dict[str, Any]]:
        """Make mmseg's ``img_infos`` of a split or, if None, of the folder."""
        if split is not None:
            names = self._of_split(split, found)
        else:
            names = self._of_folder(found)
        infos: list[dict[str, Any]] = [dict(filename=name) for name in names]
        owners: dict[str, str] = {}
        for info in infos if self.ann_dir is not None else ():
            name = info['filename']
            mask = self._mask(name)
            other = owners.setdefault(mask, name)
            if other != name:
                raise ConfigError(
                    f'img_suffix: wanted an annotation for each image, got '
                    f'{mask!r} for both {other!r} and {name!r}; rename or '
                    'remove one'
                )
            info['ann'] = dict(seg_map=mask)
        return infos

    def _of_split(self, split: str, found: Found) -> list[str]:
        places = Places(
            self.img_dir,
            [self._below(x) for x in (self.img_dir, self.ann_dir) if x],
            self.images,
            self.maps,
            self._has if self.on_disk else None,
        )
        text = decode(self.client.get(split), split)
        read = read_split(text, split, places)
        found.problems += read.problems
        found.lost += read.lost
        return read.names

    def _below(self, folder: str) -> str:
        """Return a folder relative to ``data_root``, if it is below it."""
        if self.root is None:
            return folder
        inside = osp.relpath(folder, self.root)
        return folder if inside.startswith('..') else inside

    def _has(self, name: str) -> bool:
        return osp.lexists(osp.join(self.img_dir, name))

    def _of_folder(self, found: Found) -> list[str]:
        if self.on_disk:
            folder = scan(self.img_dir)
        else:
            files = self.client.list_dir_or_file(
                self.img_dir,
                list_dir=False,
                suffix=self.images,
                recursive=True,
            )
            folder = Folder(list(files))
        names = {x for x in folder.files if x.endswith(self.images)}
        masks = self._masks(names)
        names -= masks
        likely = {self._stem(x) + y for x in names for y in self.maps}
        beside = [
            name
            for name in folder.files
            if looks_like_image(name)
            and name not in names
            and name not in masks
            and not self._is_annotation(name)
            and not (self.ann_dir is None and name in likely)
        ]
        hidden = [x for x in folder.hidden if x.endswith(self.images)]
        broken = [x for x in folder.broken if x.endswith(self.images)]
        found.notes += [
            f'{count_of(left, noun, rest)} in {self.img_dir} '
            f'{"is" if len(left) == 1 else "are"} left out: {named(left)}'
            for left, noun, rest in (
                (hidden, 'hidden file', ''),
                (sorted(masks), 'annotation', ' beside the images'),
                (broken, 'link', ' to no file'),
            )
            if left
        ]
        if beside:
            found.notes.append(self._beside(beside))
        if self.ann_dir is None:
            found.notes += self._twins(names)
        return sorted(names)

    def _twins(self, names: set[str]) -> list[str]:
        """Note images whose names differ only in the suffix."""
        stems = Counter(map(self._stem, names))
        twins = [name for name in names if stems[self._stem(name)] > 1]
        if not twins:
            return []
        return [
            f'{count_of(twins, "image")} in {self.img_dir} have a name that '
            f'another has with another suffix, and each counts: '
            f'{named(twins)}; move annotations and copies away'
        ]

    def _beside(self, names: Sequence[str]) -> str:
        """Note files that look like images and are not listed."""
        endings = sorted({osp.splitext(name)[1] for name in names})
        wanted = tuple(dict.fromkeys((*self.images, *endings)))
        ours: Any = self.images
        if len(ours) == 1:
            ours = ours[0]
        elif len(ours) > _SHOWN:
            ours = (*ours[:_SHOWN], '...')
        mend = ''
        if len(self.images) < len(wanted) <= _SHOWN:
            mend = f'set img_suffix={wanted} to take them in, or '
        looks = (
            'looks like an image and is'
            if len(names) == 1
            else 'look like images and are'
        )
        return (
            f'{count_of(names, "file")} in {self.img_dir} {looks} not in the '
            f'pool or data set, since img_suffix is {ours!r}: {named(names)}; '
            f'{mend}move them away'
        )

    def _suffix(self, name: str) -> str:
        """Return the suffix of an image: the longest that fits."""
        fitting = [x for x in self.images if name.endswith(x)]
        return max(fitting, key=len, default=self.images[0])

    def _stem(self, name: str) -> str:
        return name.removesuffix(self._suffix(name))

    def _masks(self, names: set[str]) -> set[str]:
        """Find the names that are annotations of other names."""
        shared = self._inside
        masks: set[str] = set()
        if shared is not None and shared != '.':
            masks |= {x for x in names if x.startswith(shared + '/')}
        if shared != '.' and self.ann_dir is not None:
            return masks
        for name in names:
            ending = self._suffix(name)
            stem = self._stem(name)
            masks |= {
                mask
                for suffix in self.maps
                if (mask := stem + suffix) in names
                and mask != name
                # without an ann_dir, as 'x_ids.png' beside 'x.png' alone
                and (self.ann_dir is not None or suffix.endswith(ending))
            }
        if self.ann_dir is not None:
            masks |= {
                name
                for name in names
                for suffix in self.maps
                if name.endswith(suffix)
                and len(suffix) > len(self._suffix(name))
            }
        return masks

    @cached_property
    def _inside(self) -> str | None:
        """Return ``ann_dir`` relative to ``img_dir``; None if outside."""
        if self.ann_dir is None or not self.on_disk:
            return None
        inside = osp.relpath(
            osp.realpath(self.ann_dir), osp.realpath(self.img_dir)
        )
        return None if inside.startswith('..') else inside

    def _is_annotation(self, name: str) -> bool:
        inside = self._inside
        if inside is None:
            return False
        if inside == '.':
            return name.endswith(self.maps)
        return name.startswith(inside + '/')

    def _mask(self, name: str) -> str:
        """Find the annotation of an image, relative to ``ann_dir``."""
        ending = self._suffix(name)
        stem = self._stem(name)
        masks = [stem + suffix for suffix in self.maps]
        # mmseg's own name, if a suffix occurs more than once
        mangled = [name.replace(ending, suffix) for suffix in self.maps]
        if len(masks) == 1 and masks == mangled:
            return masks[0]
        for ways in (masks, mangled):
            there = [mask for mask in ways if self._annotated(mask)]
            if len(there) > 1:
                raise ConfigError(
                    f'seg_map_suffix: wanted one annotation for {name!r}, '
                    f'got {there}; remove one, or name one suffix'
                )
            if there:
                return there[0]
        return masks[0]

    def _annotated(self, mask: str) -> bool:
        path = self.client.join_path(self.ann_dir, mask)
        return bool(self.client.exists(path))


def _suffixes(key: str, value: Any) -> tuple[str, ...]:
    """Read one suffix or several as a tuple."""
    several: Sequence[Any] = (
        value if isinstance(value, list | tuple) else (value,)
    )
    if not several or not all(isinstance(x, str) and x for x in several):
        raise ConfigError(
            f"{key}: wanted a suffix such as '.jpg', or several, as "
            f"('.jpg', '.png'); got {value!r}"
        )
    return tuple(dict.fromkeys(several))
