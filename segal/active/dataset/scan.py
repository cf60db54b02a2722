"""List the files of a folder of images; hidden files separately."""

from __future__ import annotations

import os
import os.path as osp
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

LOOKS = (
    '.bmp',
    '.dib',
    '.jfif',
    '.jp2',
    '.jpe',
    '.jpeg',
    '.jpg',
    '.pbm',
    '.pgm',
    '.png',
    '.pnm',
    '.ppm',
    '.tif',
    '.tiff',
    '.webp',
)
"""Suffixes of images, in lower case."""

_OTHERS = ('.avif', '.dcm', '.dng', '.exr', '.gif', '.hdr', '.heic', '.heif')
"""Suffixes of images that few or no builds of OpenCV read."""

_HIDDEN = {
    '@eadir',
    '__macosx',
    '#recycle',
    '$recycle.bin',
    'lost+found',
    'system volume information',
    'thumbs',
}
"""Folders that operating systems create."""

_NAMED = 5
"""Files that a sentence names at most."""


@dataclass
class Folder:
    """The files below a folder, as relative paths.

    The ``hidden`` ones are files in hidden folders, too; ``broken`` are links
    to missing files.
    """

    files: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


def is_hidden(name: str) -> bool:
    """Check whether a relative path is hidden."""
    return any(
        (part.startswith('.') and part not in ('.', '..'))
        or part.lower() in _HIDDEN
        for part in name.replace('\\', '/').split('/')
    )


def scan(root: str) -> Folder:
    """Find every file below a folder on this disk; follow links to folders."""
    found = Folder()
    for base, folders, files in os.walk(root, followlinks=True):
        real = osp.realpath(base)
        folders[:] = [
            name for name in folders if not _loops(osp.join(base, name), real)
        ]
        inside = osp.relpath(base, root)
        for file in files:
            name = file if inside == '.' else osp.join(inside, file)
            if is_hidden(name):
                found.hidden.append(name)
            elif osp.isfile(osp.join(base, file)):
                found.files.append(name)
            else:
                found.broken.append(name)
    return found


def _loops(path: str, real: str) -> bool:
    """Check whether a link leads to a folder that contains it."""
    if not osp.islink(path):
        return False
    target = osp.realpath(path)
    return real == target or real.startswith(target + os.sep)


def looks_like_image(name: str) -> bool:
    """Check whether a name has the suffix of an image."""
    return name.lower().endswith(LOOKS + _OTHERS)


def count_of(names: Sequence[Any], noun: str, rest: str = '') -> str:
    """Count names in words: ``'1 link to x'``, ``'3 links to x'``."""
    return f'{len(names):,} {noun}{"s" * (len(names) != 1)}{rest}'


def named(names: Sequence[str]) -> str:
    """List the first of some names, for a sentence."""
    first = ', '.join(sorted(names)[:_NAMED])
    more = len(names) - _NAMED
    return first + (f' and {more:,} more' if more > 0 else '')
