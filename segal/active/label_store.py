"""Which pixels are labelled, with what: the only owner of that state."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segal.errors import StateError
from segal.structures import LABELLED, Answers, PoolImage, Selection

from .label_file import (
    Counts,
    LabelFile,
    decode,
    encode,
    replace_file,
    round_path,
    sha256,
    sync_folder,
)
from .label_packing import map_name, pack
from .label_state import LabelState

__all__ = [
    'Counts',
    'History',
    'LabelStore',
    'PixelLabels',
    'WholeLabels',
    'pool_fingerprint',
]

_NO_CLASS = 255
_MEND = 'restore it from a copy, or start in another work_dir'


@dataclass(frozen=True)
class PixelLabels:
    """The bought labels of an image of which some pixels were asked.

    Attributes:
        places: int32 (N,), flat indices, in the order in which they came.
        classes: uint8 (N,), training class ids.
        rounds: uint16 (N,), the label files they are in.
    """

    places: NDArray[np.int32]
    classes: NDArray[np.uint8]
    rounds: NDArray[np.uint16]


@dataclass(frozen=True)
class WholeLabels:
    """The bought labels of an image that was asked as a whole.

    Attributes:
        label_map: uint8 (H, W), training class ids, 255 where there is none.
        round: The label file it is in.
    """

    label_map: NDArray[np.uint8]
    round: int


@dataclass(frozen=True)
class History:
    """Every request that concerned an image.

    Attributes:
        places: int32 (N,), single pixels asked, in the order in which they
            were.
        classes: uint8 (N,), 255 where ``status`` is not ``LABELLED``.
        status: uint8 (N,), ``LABELLED``, ``VOID`` or ``REFUSED``.
        rounds: uint16 (N,), the label files they are in.
        whole: Whether the whole of the image was asked, too.
        round: When that was; None where it was not.
        whole_status: What came of that: ``LABELLED``, ``VOID`` (no new pixel
            of it has a class) or ``REFUSED``; None where it was not asked.
    """

    places: NDArray[np.int32]
    classes: NDArray[np.uint8]
    status: NDArray[np.uint8]
    rounds: NDArray[np.uint16]
    whole: bool
    round: int | None
    whole_status: int | None


@dataclass(frozen=True)
class _Read:
    """What is remembered of a label file."""

    sha256: str
    counts: Counts


def pool_fingerprint(pool: Sequence[PoolImage]) -> str:
    """A fingerprint of the names, the sizes and the order of a pool."""
    digest = hashlib.blake2b(digest_size=16)
    for image in pool:
        height, width = image.size
        digest.update(f'{image.name}\0{height}x{width}\n'.encode())
    return digest.hexdigest()


class LabelStore:
    """All answers that were bought: the union of the files of a folder.

    One file a round, written whole and never edited (the format is told in
    :mod:`segal.active.label_file`). Single pixels are held in memory, label
    maps of whole images stay on disk. One rank appends, the others reload.

    A place is asked once. Of a whole image whose pixels were partly asked
    before, the earlier answers stand, and only the other pixels are counted.

    Args:
        folder: Of the label files; made by the first :meth:`append`.
        pool: All images that may be asked, each name once.
        experiment: Fingerprint of the experiment that the labels belong to;
            '' takes over that of the files there, for tools that only read.

    Raises:
        StateError: A file there is missing, truncated, altered, or belongs to
            another experiment or pool. Nothing is changed on disk.
        DataError: A name occurs twice in the pool.
    """

    def __init__(
        self, folder: Path, pool: Sequence[PoolImage], experiment: str = ''
    ) -> None:
        self.folder = Path(folder)
        self.pool = pool
        self.experiment = experiment
        self._fingerprint = pool_fingerprint(pool)
        self._state = LabelState(pool)
        self._files: list[_Read] = []
        self.reload()

    @property
    def rounds(self) -> int:
        """Label files so far."""
        return len(self._files)

    @property
    def nbytes(self) -> int:
        """Bytes of the label state in memory."""
        return self._state.nbytes

    def free(self) -> NDArray[np.int64]:
        """How many places were not asked yet, int64 (P,), in pool order."""
        return self._state.free()

    def available(self, name: str) -> NDArray[np.bool_]:
        """Which places of an image were not asked yet.

        Args:
            name: Of the image.

        Returns:
            bool (H, W), a new array.
        """
        state, at = self._state, self._state.at(name)
        mask = np.full(self.pool[at].size, not state.asked_whole(at))
        mask.reshape(-1)[state.places[state.row(at)]] = False
        return mask

    def labelled_names(self) -> list[str]:
        """The images that have at least one label, in pool order."""
        positions = np.flatnonzero(self._state.labelled()).tolist()
        return [self.pool[at].name for at in positions]

    def draw(self, name: str, ignore_index: int = 255) -> NDArray[np.uint8]:
        """An image's bought labels as a label map.

        Args:
            name: Of the image.
            ignore_index: What stands wherever no label was bought.

        Returns:
            uint8 (H, W), training class ids, a new array.
        """
        state, at = self._state, self._state.at(name)
        if state.has_map(at):
            drawn = self._read_map(at)  # (H, W)
            if ignore_index != _NO_CLASS:
                drawn[drawn == _NO_CLASS] = ignore_index
        else:
            drawn = np.full(self.pool[at].size, ignore_index, np.uint8)
        row = state.row(at)
        drawn.reshape(-1)[state.places[row]] = np.where(
            state.status[row] == LABELLED, state.classes[row], ignore_index
        )
        return drawn

    def labels(self, name: str) -> PixelLabels | WholeLabels:
        """An image's bought labels, without void and refused requests."""
        state, at = self._state, self._state.at(name)
        if state.has_map(at):
            return WholeLabels(self.draw(name), int(state.whole_round[at]))
        row = state.row(at)
        labelled = state.status[row] == LABELLED
        return PixelLabels(
            state.places[row][labelled],
            state.classes[row][labelled],
            state.rounds[row][labelled],
        )

    def history(self, name: str) -> History:
        """Every request that concerned an image, whatever came of it."""
        state, at = self._state, self._state.at(name)
        row, whole = state.row(at), state.asked_whole(at)
        return History(
            state.places[row].copy(),
            state.classes[row].copy(),
            state.status[row].copy(),
            state.rounds[row].copy(),
            whole,
            int(state.whole_round[at]) if whole else None,
            int(state.whole_status[at]) if whole else None,
        )

    def counts(self, round: int | None = None) -> Counts:
        """The ledger.

        Args:
            round: Of one label file; None for all of them together.
        """
        if round is not None:
            return self._files[round].counts
        table = np.array([file.counts for file in self._files], np.int64)
        sums = table.reshape(-1, len(Counts._fields)).sum(0).tolist()
        requested, labelled, void, refused, _ = sums
        images = int(self._state.labelled().sum())
        return Counts(requested, labelled, void, refused, images)

    def fingerprint(self, rounds: int | None = None) -> str:
        """Of the labels of the first so many files, as memory holds them.

        Args:
            rounds: How many files; None for all.

        Returns:
            The same for two stores just where they hold the same answers to
            the same requests, from the same files.
        """
        rounds = self.rounds if rounds is None else rounds
        digest = hashlib.blake2b(self._fingerprint.encode(), digest_size=16)
        for file in self._files[:rounds]:
            digest.update(file.sha256.encode())
        for array in self._state.until(rounds):
            digest.update(array.tobytes())
        return digest.hexdigest()

    def selection(self, round: int) -> Selection:
        """What a round asked, with its scores, read back from its file.

        Raises:
            StateError: The file is not what it was.
        """
        path = round_path(self.folder, round)
        data = _read(path)
        if sha256(data) != self._files[round].sha256:
            raise StateError(
                f'{path}: wanted the label file that was read before, got '
                'another one; nothing may write there but this experiment'
            )
        content = decode(path, data)
        selection = Selection(round, content.unit, {})
        for k, (name, _, _) in enumerate(content.images):
            row = slice(*content.offsets[k : k + 2].tolist())
            selection.places[name] = content.places[row].astype(np.int64)
            if len(content.scores):
                if content.unit == 'image':
                    row = slice(k, k + 1)
                selection.scores[name] = content.scores[row]
        return selection

    def append(self, answers: Answers) -> None:
        """Keep the answers of a round, on disk first.

        Once this returns they are never lost. Where it raises, or the process
        dies, a store opened afterwards has all of the round or nothing of it.

        Args:
            answers: To every request of the selection, whose round must be
                :attr:`rounds`.

        Raises:
            RuntimeError: The answers are not those to the selection, or the
                selection asks what was asked before.
            StateError: The files cannot be written.
        """
        number = self.rounds
        if answers.selection.round != number:
            raise RuntimeError(
                f'wanted the answers of round {number}, got those of round '
                f'{answers.selection.round}'
            )
        content, maps = pack(
            answers, self._state.at, self.pool, self.available
        )
        content.experiment = self.experiment
        content.pool = self._fingerprint
        content.previous = self._last_sha256()
        problem = self._state.problem(content)
        if problem:
            raise RuntimeError(f'round {number}: {problem}')
        data = encode(content)
        self._write(round_path(self.folder, number), data, maps)
        self._take_in(content, data)

    def reload(self) -> None:
        """Read the files that are new.

        Raises:
            StateError: See the class.
        """
        numbers = self._on_disk()
        for wanted in range(max(self.rounds, len(numbers))):
            if wanted not in numbers:
                raise StateError(
                    f'{round_path(self.folder, wanted)}: wanted the label '
                    f'file of round {wanted}, got none, though '
                    + (
                        'it was there before'
                        if wanted < self.rounds
                        else f'that of round {max(numbers)} is there'
                    )
                    + f'; {_MEND}'
                )
        for number in range(self.rounds, len(numbers)):
            self._read_round(number)

    def _write(self, path: Path, data: bytes, maps: dict[str, bytes]) -> None:
        """The label maps, then the file that names them.

        Raises:
            StateError: It cannot be done.
        """
        if path.exists():
            raise StateError(
                f'{path}: wanted to write a new label file, got one that is '
                'there already; is another process running in this work_dir?'
            )
        maps_folder = path.with_suffix('')
        try:
            for folder in (self.folder, *([maps_folder] if maps else [])):
                if not folder.is_dir():
                    folder.mkdir(parents=True)
                    sync_folder(folder.parent)
            for name, png in maps.items():
                replace_file(maps_folder / name, png)
            if maps:
                sync_folder(maps_folder)
            replace_file(path, data)
            sync_folder(self.folder)
        except OSError as error:
            raise StateError(
                f'{path}: cannot be written ({error}); mend that and start '
                'again: everything bought before is safe'
            ) from error

    def _on_disk(self) -> set[int]:
        """The numbers of the label files that are there."""
        if not self.folder.exists():
            return set()
        numbers = set()
        for path in self.folder.iterdir():
            match = re.fullmatch(r'round_(\d+)\.npz', path.name)
            if match and path == round_path(self.folder, int(match[1])):
                numbers.add(int(match[1]))
        return numbers

    def _last_sha256(self) -> str:
        return self._files[-1].sha256 if self._files else ''

    def _read_round(self, number: int) -> None:
        """Read a file, and take it in if everything about it is right."""
        path = round_path(self.folder, number)
        data = _read(path)
        content = decode(path, data)
        for what, wanted, got in (
            ('experiment', self.experiment or content.experiment,
             content.experiment),
            ('pool', self._fingerprint, content.pool),
            ('round', number, content.round),
            ('previous file', self._last_sha256(), content.previous),
        ):  # fmt: skip
            if wanted != got:
                raise StateError(
                    f'{path}: wanted labels of {what} {wanted!r}, got those '
                    f'of {what} {got!r}; start in another work_dir, or with '
                    'the config and the data that wrote this one'
                )
        problem = self._state.problem(content)
        if problem:
            raise StateError(f'{path}: {problem}; {_MEND}')
        for (name, _, _), named in zip(
            content.images, content.maps, strict=False
        ):
            if named is None:
                continue
            map_path = self._map_path(self._state.at(name), number)
            if (map_path.name, sha256(_read(map_path))) != named:
                raise StateError(
                    f'{map_path}: wanted the label map of {name!r} with '
                    f'SHA-256 {named[1]}, got another file; {_MEND}'
                )
        self._take_in(content, data)

    def _take_in(self, content: LabelFile, data: bytes) -> None:
        self._state.take_in(content)
        self._files.append(_Read(sha256(data), content.counts()))
        self.experiment = content.experiment

    def _map_path(self, at: int, number: int) -> Path:
        folder = round_path(self.folder, number).with_suffix('')
        return folder / map_name(at)

    def _read_map(self, at: int) -> NDArray[np.uint8]:
        """The label map of an image that was asked as a whole, (H, W)."""
        path = self._map_path(at, int(self._state.whole_round[at]))
        try:
            with Image.open(io.BytesIO(_read(path))) as png:
                label_map = np.array(png)
        except (OSError, SyntaxError, ValueError) as error:
            raise StateError(
                f'{path}: wanted a label map, got {error}; {_MEND}'
            ) from error
        wanted = tuple(self.pool[at].size)
        if label_map.shape != wanted or label_map.dtype != np.uint8:
            raise StateError(
                f'{path}: wanted a label map uint8 {wanted}, got '
                f'{label_map.dtype} {label_map.shape}; {_MEND}'
            )
        return label_map


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StateError(
            f'{path}: wanted a file of bought labels, got {error}; {_MEND}'
        ) from error
