"""What lies in a folder of images, hidden files apart."""

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
"""What an image's name ends in, whatever the case."""

_OTHERS = ('.avif', '.dcm', '.dng', '.exr', '.gif', '.hdr', '.heic', '.heif')
"""The same of images that only some builds of OpenCV read, or none."""

_HIDDEN = {
    '@eadir',
    '__macosx',
    '#recycle',
    '$recycle.bin',
    'lost+found',
    'system volume information',
    'thumbs',
}
"""Folders that systems make for themselves."""

_NAMED = 5
"""So many files are named in a sentence."""


@dataclass
class Folder:
    """The files below a folder, each as its path from there.

    Attributes:
        files: Those that people see, and that exist.
        hidden: In hidden folders, or hidden themselves.
        broken: Links to nothing.
    """

    files: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


def is_hidden(name: str) -> bool:
    """Whether a path from the folder of the images is hidden."""
    return any(
        (part.startswith('.') and part not in ('.', '..'))
        or part.lower() in _HIDDEN
        for part in name.replace('\\', '/').split('/')
    )


def scan(root: str) -> Folder:
    """Find every file below a folder, through links to folders too.

    Args:
        root: A folder on this disk.
    """
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
    """Whether a link leads to a folder that it lies in."""
    if not osp.islink(path):
        return False
    target = osp.realpath(path)
    return real == target or real.startswith(target + os.sep)


def looks_like_image(name: str) -> bool:
    """Whether a name ends as an image's does."""
    return name.lower().endswith(LOOKS + _OTHERS)


def count_of(names: Sequence[Any], noun: str, rest: str = '') -> str:
    """How many there are: ``'1 link to x'``, ``'3 links to x'``."""
    return f'{len(names):,} {noun}{"s" * (len(names) != 1)}{rest}'


def named(names: Sequence[str]) -> str:
    """The first of some names, for a sentence."""
    first = ', '.join(sorted(names)[:_NAMED])
    more = len(names) - _NAMED
    return first + (f' and {more:,} more' if more > 0 else '')
