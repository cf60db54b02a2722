"""The folder of the label files: names, reading, writing, and what is wrong.

Of ``labels/`` belong to the store the files ``round_000.npz``, ..., the label
maps in the folders ``round_000``, ..., and ``chain.json``. What a killed
write left (``*.tmp``, label maps without their file) and ``damaged/``, where
``tools/labels.py repair`` puts what it replaced, do not count.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from segal.active.label_store.file import LabelFile, mend, round_path, sha256
from segal.active.label_store.manifest import (
    NAME,
    Chain,
    decode_chain,
    encode_chain,
)
from segal.active.label_store.packing import map_name
from segal.errors import StateError
from segal.files import replace_file, sync_folder, unwritable

DAMAGED = 'damaged'
"""The folder of what was replaced."""


class Wanted(NamedTuple):
    """What a label file has to be.

    Attributes:
        number: Its round.
        experiment: Fingerprint; '' where any will do.
        pool: Fingerprint.
        previous: SHA-256 of the file before, '' for the first; None where
            that is not known.
        sha256: Of the file itself, as ``chain.json`` names it; None where it
            names none.
    """

    number: int
    experiment: str
    pool: str
    previous: str | None
    sha256: str | None


class Trouble(NamedTuple):
    """What is wrong with a label file.

    Attributes:
        word: For a table.
        message: With file, what was wanted, what came, and the mend.
    """

    word: str
    message: str


class LabelFolder:
    """The files of a label store; knows nothing of their content.

    Args:
        path: ``work_dir/labels``; need not be there.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    @property
    def damaged(self) -> Path:
        """Where replaced files are put."""
        return self.path / DAMAGED

    @property
    def chain_path(self) -> Path:
        """Of the list of all label files."""
        return self.path / NAME

    def file(self, number: int) -> Path:
        """Where a round's label file is."""
        return round_path(self.path, number)

    def map(self, number: int, at: int) -> Path:
        """Where the label map of the pool's image number ``at`` is."""
        return self.file(number).with_suffix('') / map_name(at)

    def numbers(self) -> set[int]:
        """The numbers of the label files that are there."""
        found = (self._number(path) for path in self._npz())
        return {number for number in found if number is not None}

    def foreign(self) -> list[Path]:
        """Archives that are no label files by their names."""
        return [path for path in self._npz() if self._number(path) is None]

    def read(self, path: Path) -> bytes:
        """All of a file.

        Raises:
            StateError: It is not there, or cannot be read.
        """
        try:
            return path.read_bytes()
        except OSError as error:
            raise StateError(
                f'{path}: wanted a file of bought labels, got {error}; '
                f'{mend(self.path)}'
            ) from error

    def chain(self) -> Chain | None:
        """``chain.json``; None where there is none, as SegAL had none once.

        Raises:
            StateError: It is hurt.
        """
        if not self.chain_path.exists():
            return None
        return decode_chain(self.chain_path, self.read(self.chain_path))

    def write_chain(self, chain: Chain) -> None:
        """Replace ``chain.json``.

        Raises:
            StateError: It cannot be done.
        """
        replace_file(self.chain_path, encode_chain(chain))

    def write(self, number: int, data: bytes, maps: dict[str, bytes]) -> None:
        """The label maps, then the file that names them.

        Args:
            number: Of the round.
            data: The label file.
            maps: File name -> PNG.

        Raises:
            StateError: It cannot be done.
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

    def foreign_trouble(self) -> Iterator[Trouble]:
        """One for each archive that is no label file by its name."""
        for path in self.foreign():
            yield Trouble(
                'foreign',
                f'{path}: wanted only label files (round_000.npz, ...), got '
                'another archive; nothing was changed: move it away, or see '
                f'`python tools/labels.py repair {self.path.parent}`',
            )

    def missing_trouble(
        self, numbers: Collection[int], chain: Chain | None, known: int = 0
    ) -> Iterator[Trouble]:
        """One for each label file that should be there.

        Args:
            numbers: Of the files that are.
            chain: ``chain.json``, read before the folder was listed.
            known: How many were there before.
        """
        named = len(chain.files) if chain else 0
        highest = max(numbers, default=-1)
        for number in range(max(known, named, highest + 1)):
            if number in numbers:
                continue
            if number < known:
                why = 'it was there before'
            elif number < highest:
                why = f'that of round {highest} is there'
            else:
                why = f'{NAME} names {named} label files'
            wanted = (
                f' with SHA-256 {chain.files[number]}'
                if chain and number < named
                else ''
            )
            yield Trouble(
                'missing',
                f'{self.file(number)}: wanted the label file of round '
                f'{number}{wanted}, got none, though {why}; '
                f'{mend(self.path)}',
            )

    def file_trouble(
        self, content: LabelFile, digest: str, wanted: Wanted
    ) -> Trouble | None:
        """The first thing that a sound file should not be.

        Args:
            content: Of the file.
            digest: Its SHA-256.
            wanted: What it has to be.
        """
        path = self.file(wanted.number)
        for what, want, got in (
            ('experiment', wanted.experiment or content.experiment,
             content.experiment),
            ('pool', wanted.pool, content.pool),
            ('round', wanted.number, content.round),
        ):  # fmt: skip
            if want != got:
                return Trouble(
                    f'other {what}',
                    f'{path}: wanted labels of {what} {want!r}, got those '
                    f'of {what} {got!r}; start in another work_dir, or with '
                    'the config and the data that wrote this one; if only '
                    'this file does not belong here, `python tools/labels.py '
                    f'repair {self.path.parent}` looks for the right one',
                )
        if wanted.sha256 not in (None, digest):
            return Trouble(
                'replaced',
                f'{path}: wanted the label file with SHA-256 '
                f'{wanted.sha256} that {NAME} names, got another one, '
                f'{digest}; {mend(self.path)}',
            )
        if wanted.previous not in (None, content.previous):
            before = (
                self.file(wanted.number - 1).name
                if wanted.number
                else 'no previous file'
            )
            return Trouble(
                'other history',
                f'{path}: wanted {wanted.previous!r} as SHA-256 of the '
                f'previous file ({before}), got {content.previous!r}: one of '
                f'the two was replaced; {mend(self.path)}',
            )
        return None

    def map_trouble(
        self, content: LabelFile, number: int, positions: list[int]
    ) -> Iterator[Trouble]:
        """One for each label map of a round that is missing or altered.

        Args:
            content: Of the label file.
            number: Its round.
            positions: Of its images in the pool.
        """
        for at, image, named in zip(
            positions, content.images, content.maps, strict=False
        ):
            if named is None:
                continue
            path = self.map(number, at)
            wanted = (
                f'{path}: wanted the label map of {image[0]!r} with SHA-256 '
                f'{named[1]}, got '
            )
            if not path.is_file():
                yield Trouble(
                    'map missing', f'{wanted}none; {mend(self.path)}'
                )
            elif (path.name, sha256(self.read(path))) != named:
                yield Trouble(
                    'map altered', f'{wanted}another file; {mend(self.path)}'
                )

    def chain_trouble(
        self, chain: Chain, experiment: str, pool: str, files: int
    ) -> Iterator[Trouble]:
        """What is wrong with a chain beside sound files.

        Args:
            chain: Of this folder.
            experiment: Fingerprint; '' where any will do.
            pool: Fingerprint.
            files: How many label files there are.
        """
        path = self.chain_path
        for what, want, got in (
            ('experiment', experiment or chain.experiment, chain.experiment),
            ('pool', pool, chain.pool),
        ):
            if want != got:
                yield Trouble(
                    f'other {what}',
                    f'{path}: wanted the list of the label files of {what} '
                    f'{want!r}, got that of {what} {got!r}; '
                    f'{mend(self.path)}',
                )
        if files > len(chain.files) + 1:
            yield Trouble(
                'behind',
                f'{path}: wanted a list of the {files} label files that are '
                f'there, or of all but the last, got one of '
                f'{len(chain.files)}; `python tools/labels.py repair '
                f'{self.path.parent}` completes it',
            )

    def _npz(self) -> list[Path]:
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
