"""Cache features of images on disk; a damaged file is never read."""

from __future__ import annotations

import hashlib
import io
import json
import os
import socket
import struct
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segal.errors import ConfigError, DataError, StateError
from segal.files import replace_file

from .base import Described

_DIGEST = 16
_HEAD = struct.Struct('<8sQ')
_MAGIC = b'segalft1'
_LARGEST = float(np.finfo(np.float16).max)


class FeatureCache:
    """Cache of one extractor's features: a file for each image and kind.

    The name of the folder is made of the extractor's weights and options.
    Everything in it can be computed again: a missing or damaged file counts as
    missing. Several runs, with all their ranks, may write into one folder at
    the same time.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def describe(self, about: dict[str, object]) -> None:
        """Make the folder, and name its extractor in ``about.json``.

        Raises:
            StateError: It cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StateError(
                f'{self.folder}: wanted a folder to keep features in, got '
                f'none ({error.strerror}); correct '
                'active_learning.features.cache'
            ) from error
        text = json.dumps(about, indent=1) + '\n'
        replace_shared(self.folder / 'about.json', text)

    def path(self, stem: str, kind: str) -> Path:
        """Return the path of an image's ``'embedding'`` or ``'features'``.

        The ``stem`` is a digest of the image's content.
        """
        return self.folder / f'{stem}.{kind}'

    def has(self, stem: str, kind: str) -> bool:
        """Check that a file is there with the length that it begins with."""
        try:
            with open(self.path(stem, kind), 'rb') as file:
                magic, length = _HEAD.unpack(file.read(_HEAD.size))
                whole = os.fstat(file.fileno()).st_size
        except (OSError, struct.error):
            return False
        return magic == _MAGIC and whole == _HEAD.size + length + _DIGEST

    def read(self, stem: str, kind: str) -> NDArray[np.floating] | None:
        """Read an image's features; None where they are missing or damaged."""
        try:
            content = self.path(stem, kind).read_bytes()
            magic, length = _HEAD.unpack_from(content)
        except (OSError, struct.error):
            return None
        array, digest = content[_HEAD.size : -_DIGEST], content[-_DIGEST:]
        if magic != _MAGIC or len(array) != length or digest != _hash(array):
            return None
        return np.load(io.BytesIO(array), allow_pickle=False)

    def write(self, stem: str, kind: str, array: NDArray[np.floating]) -> None:
        """Write an image's features.

        Raises:
            StateError: They cannot be written.
        """
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        content = buffer.getvalue()
        head = _HEAD.pack(_MAGIC, len(content))
        replace_shared(self.path(stem, kind), head + content + _hash(content))


def kept(
    described: Described, kinds: Collection[str]
) -> dict[str, NDArray[np.floating]]:
    """Encode the features of an image.

    The embedding, float32 (D,); the map, float16 (F, h, w), beyond whose range
    there is its end.

    Raises:
        ConfigError: There is no map.
    """
    found: dict[str, NDArray[np.floating]] = {}
    if 'embedding' in kinds:
        found['embedding'] = described.embedding.cpu().numpy()
    if 'features' in kinds:
        if described.features is None:
            raise ConfigError(
                'active_learning.features: wanted a map of features, but the '
                'network gives one vector for an image; name another backbone'
            )
        bounded = described.features.clamp(-_LARGEST, _LARGEST)
        found['features'] = bounded.cpu().numpy().astype(np.float16)
    return found


def _hash(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_DIGEST).digest()


def replace_shared(path: Path, data: bytes | str) -> None:
    """Replace a file that other processes may write at the same time.

    Raises:
        StateError: It cannot be written.
    """
    own = path.with_name(f'{path.name}.{socket.gethostname()}.{os.getpid()}')
    replace_file(own, data)
    os.replace(own, path)


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
