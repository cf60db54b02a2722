"""Where a base lies that was looked for in the wrong folder."""

from __future__ import annotations

import os.path as osp
import re
from pathlib import Path

_MISSING = re.compile(r'file "(.+?)" does not exist')


def words_on_missing(said: str, config: str) -> str:
    """Say where a missing base was found higher up.

    Args:
        said: mmcv's error.
        config: The config file that is read.

    Returns:
        A sentence that begins with ``; ``, or nothing.
    """
    found = _MISSING.search(said)
    if found is None:
        return ''
    top = Path(config).expanduser().resolve()
    missing = Path(found[1])
    tail = _tail(missing, top)
    ancestors = [top.parent, *top.parent.parents, Path.cwd()]
    for parts in (tail[i:] for i in range(len(tail))):
        for folder in dict.fromkeys(ancestors):
            for inside in ('.', 'configs', 'experiments'):
                place = (folder / inside / Path(*parts)).resolve()
                if place.is_file():
                    return _sentence(place, len(parts), top)
    return (
        '; paths in _base_ count from the folder of the file that names '
        'them: correct _base_'
    )


def _tail(missing: Path, top: Path) -> tuple[str, ...]:
    """What of a base's path was written after its last ``..``."""
    parts = missing.parts
    if '..' in parts:
        return parts[len(parts) - parts[::-1].index('..') :]
    if missing.is_absolute() and missing.is_relative_to(top.parent):
        return missing.relative_to(top.parent).parts
    return tuple(part for part in parts if part != missing.anchor)[-4:]


def _sentence(place: Path, depth: int, top: Path) -> str:
    folder = place.parents[depth - 1]
    return (
        f'; paths in _base_ count from the folder of the file that names '
        f'them. {Path(*place.parts[-depth:])} was found in {folder}: write '
        f'{osp.relpath(place, top.parent)!r} (as seen from {top}), or move '
        'the config'
    )
