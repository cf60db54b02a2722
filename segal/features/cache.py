"""Cache features of images on disk; a damaged file is never read."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import struct
from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segal.errors import ConfigError, StateError
from segal.files import replace_file, replace_json

from .base import Described

_DIGEST = 16
_HEAD = struct.Struct('<8sQ')
_MAGIC = b'segalft1'
_LARGEST = float(np.finfo(np.float16).max)


class FeatureCache:
    """Cache of one extractor's features: a file for each image and kind.

    Nothing in it decides anything that could not be computed again: what is
    missing, cut or altered counts as not there. Several runs, and all ranks
    of them, may write into one folder at a time.

    Args:
        folder: Of the extractor: weights and options decide its name.
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
        replace_json(self.folder / f'about.json{_own()}', about)
        os.replace(
            self.folder / f'about.json{_own()}', self.folder / 'about.json'
        )

    def path(self, stem: str, kind: str) -> Path:
        """Return the path of an image's features.

        Args:
            stem: What the image is known by here: a digest of its content.
            kind: ``'embedding'`` or ``'features'``.
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
        path = self.path(stem, kind)
        own = path.with_name(path.name + _own())
        replace_file(
            own, _HEAD.pack(_MAGIC, len(content)) + content + _hash(content)
        )
        os.replace(own, path)


def kept(
    described: Described, kinds: Collection[str]
) -> dict[str, NDArray[np.floating]]:
    """Encode the features of an image.

    Args:
        described: By the extractor.
        kinds: Which of both.

    Returns:
        The embedding, float32 (D,); the map, float16 (F, h, w), beyond whose
        range there is its end.

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


def _own() -> str:
    """Make a suffix of a name that no other process uses at this time."""
    return f'.{socket.gethostname()}.{os.getpid()}'
