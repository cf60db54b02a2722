"""Name, read and write the files of a label folder.

The store owns ``round_000.npz``, ..., the label maps in the folders
``round_000``, ..., and ``chain.json`` of ``labels/``. All other files are
ignored, such as those that a killed process left (``*.tmp``, label maps
without a label file); only other ``.npz`` archives are refused.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from segal.active.label_store.file import mend, round_path, sha256
from segal.active.label_store.packing import map_name
from segal.errors import StateError
from segal.files import replace_file, sync_folder, unwritable


class LabelFolder:
    """The files of a label store, whatever their content."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    @property
    def manifest_path(self) -> Path:
        """The path of the list of all label files."""
        return self.path / NAME

    def file(self, number: int) -> Path:
        """Return the path of a round's label file."""
        return round_path(self.path, number)

    def map(self, number: int, at: int) -> Path:
        """Return the path of the label map of the pool's image ``at``."""
        return self.file(number).with_suffix('') / map_name(at)

    def numbers(self) -> set[int]:
        """List the rounds that have a label file."""
        found = (self._number(path) for path in self._archives())
        return {number for number in found if number is not None}

    def foreign_problems(self) -> list[str]:
        """Name each archive that has not the name of a label file."""
        return [
            f'{path}: wanted only label files (round_000.npz, ...), got '
            'another archive; nothing was changed: move it away; '
            f'{mend(self.path)}'
            for path in self._archives()
            if self._number(path) is None
        ]

    def read(self, path: Path) -> bytes:
        """Read a file.

        Raises:
            StateError: The file is missing or cannot be read.
        """
        try:
            return path.read_bytes()
        except OSError as error:
            raise StateError(
                f'{path}: wanted a file of bought labels, got {error}; '
                f'{mend(self.path)}'
            ) from error

    def manifest(self) -> Manifest | None:
        """Read ``chain.json``; None where it does not exist.

        Raises:
            StateError: It is damaged.
        """
        path = self.manifest_path
        if not path.exists():
            return None
        return decode_manifest(path, self.read(path))

    def write_manifest(self, manifest: Manifest) -> None:
        """Replace ``chain.json``.

        Raises:
            StateError: It cannot be written.
        """
        replace_file(self.manifest_path, encode_manifest(manifest))

    def write(self, number: int, data: bytes, maps: dict[str, bytes]) -> None:
        """Write the label maps of a round, then the file that names them.

        Raises:
            StateError: They cannot be written, or the round has a file.
        """
        path = self.file(number)
        if path.exists():
            raise StateError(
                f'{path}: wanted to write a new label file, got one that is '
                'there already; is another process running in this work_dir?'
            )
        maps_folder = path.with_suffix('')
        try:
            for folder in (self.path, *([maps_folder] if maps else [])):
                if not folder.is_dir():
                    folder.mkdir(parents=True)
                    sync_folder(folder.parent)
        except OSError as error:
            raise StateError(unwritable(path, error)) from error
        for name, png in maps.items():
            replace_file(maps_folder / name, png)
        replace_file(path, data)

    def _archives(self) -> list[Path]:
        if not self.path.exists():
            return []
        return sorted(
            path
            for path in self.path.iterdir()
            if path.name.lower().endswith('.npz')
        )

    def _number(self, path: Path) -> int | None:
        match = re.fullmatch(r'round_(\d+)\.npz', path.name, re.ASCII)
        if match and path == self.file(int(match[1])):
            return int(match[1])
        return None


VERSION = 1
NAME = 'chain.json'


class Manifest(NamedTuple):
    """The list ``chain.json`` of all label files of a store.

    Each label file names the SHA-256 of the one before, and this list names
    the last one: it shows that the last file exists and is the one that was
    written. A process that is killed in between leaves a list that lacks one
    file; the next round adds it.

    Attributes:
        experiment: Fingerprint of the experiment.
        pool: Fingerprint of the pool.
        files: SHA-256 of each label file, in the order of rounds.
    """

    experiment: str
    pool: str
    files: tuple[str, ...]


def encode_manifest(manifest: Manifest) -> bytes:
    """Write a manifest as JSON; ``seal`` is the SHA-256 of the rest."""
    rest = {
        'format': VERSION,
        **manifest._asdict(),
        'files': list(manifest.files),
    }
    return json.dumps({**rest, 'seal': _seal(rest)}, indent=1).encode() + b'\n'


def decode_manifest(path: Path, data: bytes) -> Manifest:
    """Read a manifest from its JSON.

    Raises:
        StateError: The file is damaged, or of another format.
    """
    problem = (
        f'{path}: wanted the list of label files of format {VERSION}, got '
    )
    mend = (
        '; restore it from a copy; or, if '
        f'`python tools/labels.py check {path.parent.parent}` tells of '
        'nothing else, delete it: the next round writes it anew'
    )
    try:
        rest = json.loads(data)
        found = rest.pop('seal')
        version, experiment, pool, files = (
            rest[key] for key in ('format', 'experiment', 'pool', 'files')
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StateError(
            f'{problem}a file that does not read as such '
            f'({type(error).__name__}: {error}){mend}'
        ) from error
    if found != _seal(rest):
        raise StateError(f'{problem}one that was altered{mend}')
    if version != VERSION:
        raise StateError(
            f'{problem}format {version}; use the version of SegAL that '
            'wrote it'
        )
    sound = isinstance(files, list) and all(
        isinstance(one, str) and re.fullmatch('[0-9a-f]{64}', one)
        for one in files
    )
    if not sound:
        raise StateError(f'{problem}one whose files are no SHA-256s{mend}')
    return Manifest(str(experiment), str(pool), tuple(files))


def _seal(rest: dict[str, Any]) -> str:
    return sha256(json.dumps(rest, sort_keys=True).encode())
