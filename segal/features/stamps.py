"""Remember digests of the pool's files until a file is touched."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from segal.errors import DataError

from .cache import replace_shared

FILE = 'images.json'

Stamp = tuple[int, int, str]
"""Bytes of a file, when it was changed (ns), and its digest."""


def stamp(path: Path, known: Mapping[str, Stamp]) -> Stamp:
    """Compute the digest of a file, unless size and time are as known.

    Raises:
        DataError: It cannot be read.
    """
    try:
        stat = os.stat(path)
        found = known.get(str(path.absolute()))
        if found and found[:2] == (stat.st_size, stat.st_mtime_ns):
            return found
        with open(path, 'rb') as file:
            digest = hashlib.file_digest(file, _digest).hexdigest()
    except OSError as error:
        raise DataError(
            f'{path}: it cannot be read ({error.strerror}); restore the '
            'file, or take it out of data.query'
        ) from error
    return stat.st_size, stat.st_mtime_ns, digest


def _digest() -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=16)


def read_stamps(folder: Path) -> dict[str, Stamp]:
    """Read the remembered digests, by absolute path; none where damaged."""
    try:
        found = json.loads((folder / FILE).read_text())
        return {
            str(path): (int(length), int(changed), str(digest))
            for path, (length, changed, digest) in found.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def write_stamps(folder: Path, stamps: Mapping[str, Stamp]) -> None:
    """Write digests beside those of other pools.

    Raises:
        StateError: They cannot be written.
    """
    known = read_stamps(folder)
    together = {**known, **stamps}
    if together == known:
        return
    replace_shared(folder / FILE, json.dumps(together, sort_keys=True))
