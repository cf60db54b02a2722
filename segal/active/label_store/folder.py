"""Name, read and write the files of a label folder.

The store owns ``round_000.npz``, ..., the label maps in the folders
``round_000``, ..., and ``chain.json`` of ``labels/``. All other files are
ignored, such as those that a killed process left (``*.tmp``, label maps
without a label file); only other ``.npz`` archives are refused.
"""

from __future__ import annotations

import re
from pathlib import Path

from segal.active.label_store.file import mend, round_path
from segal.active.label_store.manifest import (
    NAME,
    Manifest,
    decode_manifest,
    encode_manifest,
)
from segal.active.label_store.packing import map_name
from segal.errors import StateError
from segal.files import replace_file, sync_folder, unwritable


class LabelFolder:
    """The files of a label store, whatever their content.

    Args:
        path: ``work_dir/labels``; need not exist.
    """

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
