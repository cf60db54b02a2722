"""Read split files: one image a line, in the ways that people write them."""

from __future__ import annotations

import codecs
import os.path as osp
import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from segal.active.dataset.scan import LOOKS
from segal.errors import ConfigError

_LINES = re.compile(r'\r\n|\n|\r')
_COLUMNS = re.compile(r'[\s,;]+')
_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass
class Split:
    """The images of a split file, as paths from ``img_dir``.

    One sentence tells of each line whose image is ``lost``, and of each that
    has ``problems``.
    """

    names: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Places:
    """The folders and suffixes of the images of a split.

    Attributes:
        img_dir: Folder of the images.
        folders: Paths to images and annotations, relative to ``data_root``
            if they are below it.
        images: Suffixes of images.
        maps: Suffixes of annotations.
        exists: Checks that an image exists, by its path from ``img_dir``;
            None: images are not on this disk.
    """

    img_dir: str
    folders: Sequence[str]
    images: Sequence[str]
    maps: Sequence[str]
    exists: Callable[[str], bool] | None

    def drops(self, leading: Sequence[str]) -> bool:
        """Check whether the first folders of a name are the data set's own."""
        for whole in self.folders:
            parts = _parts(whole)
            count = min(len(parts), len(leading))
            if count and list(leading[-count:]) == parts[-count:]:
                return True
        return False


def _parts(path: str) -> list[str]:
    plain = posixpath.normpath(path.replace('\\', '/'))
    return [part for part in plain.split('/') if part not in ('', '.')]


def decode(data: bytes, path: str) -> str:
    """Decode a split file: UTF-8, or UTF-16 with a byte order mark.

    Raises:
        ConfigError: The file has another encoding.
    """
    kind = 'utf-16' if data.startswith(_WIDE) else 'utf-8-sig'
    try:
        return data.decode(kind)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b'\n') + 1
        raise ConfigError(
            f'split: {path}, line {line}: wanted UTF-8, got the byte '
            f'{data[error.start : error.start + 1].hex()}; save the file as '
            'UTF-8'
        ) from error


def read_split(text: str, path: str, places: Places) -> Split:
    """Find the image of each line.

    A line may have the suffix of the image or of the annotation, and the
    folders above it. Blank lines and lines that begin with ``#`` are skipped.
    """
    split = Split()
    lines: dict[str, int] = {}
    for number, line in enumerate(_LINES.split(text), 1):
        asked = line.strip().strip('\ufeff\0').strip()
        if not asked:
            continue
        where = f'{path}, line {number}'
        found = _find(asked, places)
        if len(found) > 1:
            split.problems.append(
                f'split: {where}: wanted one image, got {found} for '
                f'{asked!r}; write the name with its suffix'
            )
            continue
        if not found and asked.startswith('#'):
            continue
        name = found[0] if found else asked + places.images[0]
        if not found:
            split.lost.append(
                f'{osp.join(places.img_dir, name)}: the file is missing, and '
                f'{where} names it ({asked!r}); restore the file, or correct '
                'the line'
            )
        if name in lines:
            split.problems.append(
                f'split: wanted every image once, got {name!r} twice, in '
                f'lines {lines[name]} and {number} of {path}; remove the '
                'second'
            )
            continue
        lines[name] = number
        split.names.append(name)
    return split


def _find(asked: str, places: Places) -> list[str]:
    """Find the image of a stripped line: none, or several if unclear."""
    if places.exists is None:
        whole = [asked] * asked.endswith(tuple(places.images))
        return whole or [asked + places.images[0]]
    found = _one(asked, places)
    if found:
        return found
    columns = [part for part in _COLUMNS.split(asked) if part]
    if len(columns) == 2:  # an image and its annotation, or its number
        first, second = (_one(part, places) for part in columns)
        if first and (
            first == second or (columns[1].lstrip('+-').isdecimal())
        ):
            return first
    return []


def _one(asked: str, places: Places) -> list[str]:
    exists = places.exists
    assert exists is not None
    for name in _shorter(asked, places):
        for group in _spellings(name, places):
            found = [one for one in dict.fromkeys(group) if exists(one)]
            if found:
                return found
    return []


def _shorter(asked: str, places: Places) -> Iterator[str]:
    """List a name as written, then without the folders above ``img_dir``."""
    parts = _parts(asked)
    absolute = asked.startswith('/')
    if absolute or '..' in parts:  # one image has one name
        path = asked if absolute else osp.join(places.img_dir, *parts)
        for way in (osp.abspath, osp.realpath):
            folder, root = way(osp.dirname(path)), way(places.img_dir)
            if (folder + '/').startswith(root + '/'):
                yield osp.relpath(osp.join(folder, osp.basename(path)), root)
    if parts:
        yield '/'.join(parts)
    if not absolute:
        yield asked
    for count in range(1, len(parts)):
        if places.drops(parts[:count]):
            yield '/'.join(parts[count:])
    if absolute:
        yield asked


def _spellings(name: str, places: Places) -> Iterator[list[str]]:
    """List the files that a name may mean, the likeliest first."""
    images = places.images
    yield [name + suffix for suffix in images]
    if name.endswith(tuple(images)):
        yield [name]
    for suffix in sorted(places.maps, key=len, reverse=True):
        if suffix and name.endswith(suffix):
            yield [name[: -len(suffix)] + image for image in images]
    for suffix in LOOKS:
        if name.lower().endswith(suffix):
            yield [name[: -len(suffix)] + image for image in images]
