"""Keep what runs need to go on elsewhere in a few files of bounded size."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from segal.errors import StateError
from segal.files import SUFFIX, replace_file, replace_json

INDEX = 'kept.json'
PART_BYTES = 16 * 2**20
MOST_PARTS = 6
"""With the index and ``results.json``, eight files."""

_FILES = (
    'config.json',
    'config.py',
    'rounds.json',
    'times.json',
    'machine.json',
    'pool.json',
    'pool_sizes.json',
    'read_files.json',
)
"""Of a work_dir, beside its labels: all but networks, logs and pictures."""


def keep(
    folders: Sequence[Path],
    files: Sequence[Path],
    to: Path,
    part_bytes: int = PART_BYTES,
) -> None:
    """Write labels and rows of some runs into a few files.

    The files before stay whole until the new ones are there.

    Args:
        folders: Work_dirs of runs, in one folder; those that do not exist
            are passed over.
        files: Further files beside them.
        to: Folder to write into; it exists.
        part_bytes: Most bytes of one file.

    Raises:
        StateError: They need more files than are wanted, or cannot be
            written.
    """
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode='w:gz', compresslevel=6) as tar:
        for folder in folders:
            for path in _kept_of(folder):
                tar.add(path, path.relative_to(folder.parent).as_posix())
        for path in files:
            if path.is_file():
                tar.add(path, path.name)
    data = stream.getvalue()
    count = -(-len(data) // part_bytes)
    if count > MOST_PARTS:
        raise StateError(
            f'{to}: wanted labels and rows in at most {MOST_PARTS} files of '
            f'{part_bytes >> 20} MiB, got {len(data) >> 20} MiB; split the '
            'plan into two'
        )
    digest = hashlib.sha256(data).hexdigest()
    names = [f'kept_{digest[:8]}_{i}.part' for i in range(count)]
    for i, name in enumerate(names):
        part = data[i * part_bytes : (i + 1) * part_bytes]
        replace_file(to / name, part)
    replace_json(to / INDEX, dict(parts=names, sha256=digest))
    for path in to.glob('kept_*.part'):
        if path.name not in names:
            path.unlink()


def bring_back(source: Path, folder: Path) -> list[str]:
    """Write kept runs into a folder, where it does not have them.

    Returns:
        Names of the runs, and of the files, that were brought back.

    Raises:
        StateError: Parts are missing or hurt.
    """
    path = source / INDEX
    if not path.exists():
        return []
    try:
        index: dict[str, Any] = json.loads(path.read_text())
        data = b''.join(
            (source / Path(name).name).read_bytes() for name in index['parts']
        )
        if hashlib.sha256(data).hexdigest() != index['sha256']:
            raise ValueError('its files are not those that it tells of')
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StateError(
            f'{path}: wanted what an earlier lease kept, got files that '
            f'cannot be read as that ({error}); copy all of its files anew'
        ) from error
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = tar.getmembers()
        known = {
            name
            for name in {member.name.split('/')[0] for member in members}
            if (folder / name).exists()
        }
        new = [m for m in members if m.name.split('/')[0] not in known]
        tar.extractall(folder, new, filter='data')
    return sorted({member.name.split('/')[0] for member in new})


def _kept_of(folder: Path) -> Iterator[Path]:
    """List the files of a work_dir that are kept.

    A run may be writing. Rows are read before labels, and label files before
    the maps that they name, so that what is read first is never ahead.
    """
    for name in _FILES:
        if (folder / name).is_file():
            yield folder / name
    labels = folder / 'labels'
    for pattern in ('*', '*/**/*'):
        for path in sorted(labels.glob(pattern)):
            if path.is_file() and not path.name.endswith(SUFFIX):
                yield path
