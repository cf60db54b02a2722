"""Write files whole or not at all, however the process ends."""

from __future__ import annotations

import json
import os
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from segal.errors import StateError

_END = 1 << 16
"""Bytes at each end of a file that its checksum is of."""

SUFFIX = '.tmp'
"""Ends the name of a file that is being written; may be deleted."""


def shipped() -> Path:
    """Find the folder with ``configs`` and ``experiments``.

    A wheel brings them in ``segal/.mim``, where mmseg has its own; in a
    checkout they lie beside ``segal``.
    """
    home = Path(__file__).resolve().parent
    return home / '.mim' if (home / '.mim').is_dir() else home.parent


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Write a file under its name only when all of it is on disk.

    Temporary name in the same folder, flush, sync, rename, sync of the
    folder. What a killed process left under the temporary name is written
    over.

    Raises:
        StateError: It cannot be written: the disk is full, or read-only.
    """
    temporary = path.with_name(_cut(path.name) + SUFFIX)
    try:
        with open(temporary, 'wb') as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except (OSError, RuntimeError) as error:  # torch.save wraps the first
        reason = error
        while not isinstance(reason, OSError) and reason.__context__:
            reason = reason.__context__  # type: ignore[assignment]
        temporary.unlink(missing_ok=True)
        if not isinstance(reason, OSError):
            raise
        raise StateError(unwritable(path, reason)) from error


def _cut(name: str) -> str:
    """Cut a name so that ``SUFFIX`` fits behind it, in 255 bytes."""
    return os.fsdecode(os.fsencode(name)[: 255 - len(SUFFIX)])


def unwritable(path: Path | str, error: OSError) -> str:
    """Explain that a file cannot be written, and what to do."""
    return (
        f'{path}: cannot be written ({error.strerror or error}); make room, '
        'or make the folder writable, and run the same command again: '
        'everything bought so far is safe'
    )


def replace_file(path: Path, data: bytes | str) -> None:
    """Write all of a file at once.

    Args:
        path: Of the file; its folder exists.
        data: All of it; text is written as UTF-8.

    Raises:
        StateError: It cannot be written.
    """
    with whole_file(path) as file:
        file.write(data.encode() if isinstance(data, str) else data)


def replace_json(path: Path, value: Any) -> None:
    """Write plain values as JSON.

    Raises:
        StateError: It cannot be written.
    """
    replace_file(path, json.dumps(value, indent=1) + '\n')


def sync_folder(folder: Path) -> None:
    """Sync a folder, so that its names survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def stamp(path: Path | str) -> list[int]:
    """Read the bytes of a file, and its modification time in ns."""
    stat = os.stat(path)
    return [stat.st_size, stat.st_mtime_ns]


def checksum(path: Path | str) -> int:
    """Compute a checksum of both ends of a file; its size is known apart.

    Any change of a compressed image shows there.
    """
    with open(path, 'rb') as file:
        start = file.read(_END)
        file.seek(max(_END, os.fstat(file.fileno()).st_size - _END))
        return zlib.crc32(file.read(), zlib.crc32(start))


def png_names(images: Sequence[str]) -> dict[str, str]:
    """Name a PNG for each image: ``a.jpg`` -> ``a.png``.

    Images whose names differ in the suffix alone keep it: ``a.jpg.png``.
    Where that is the PNG of another image, all keep it.
    """
    bare = {
        image: str(PurePosixPath(image).with_suffix('')) for image in images
    }
    taken = Counter(bare.values())
    names = {
        image: f'{image if taken[stem] > 1 else stem}.png'
        for image, stem in bare.items()
    }
    if len(set(names.values())) < len(names):
        return {image: f'{image}.png' for image in images}
    return names
