"""Keep the bought labels: on disk one file a round, in memory flat arrays."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segal.active.label_store.file import (
    Counts,
    LabelFile,
    decode,
    encode,
    mend,
    sha256,
)
from segal.active.label_store.folder import LabelFolder, Manifest
from segal.active.label_store.packing import pack
from segal.active.label_store.reading import map_problems, read_files
from segal.active.label_store.state import LabelState, pool_fingerprint
from segal.active.units.costs import Asked
from segal.distributed import ranks
from segal.errors import StateError
from segal.structures import LABELLED, Answers, PoolImage, Selection

__all__ = [
    'Counts',
    'History',
    'LabelStore',
    'pool_fingerprint',
]

_NO_CLASS = 255


@dataclass(frozen=True)
class History:
    """Every request about an image.

    Attributes:
        places: int32 (N,), single pixels, in the order of the requests.
        classes: uint8 (N,), 255 where ``status`` is not ``LABELLED``.
        status: uint8 (N,), ``LABELLED``, ``VOID`` or ``REFUSED``.
        rounds: uint16 (N,), the round of each.
        whole: Whether the image was also asked as a whole.
        round: The round of that request; None without one.
        whole_status: The answer to it: ``LABELLED``, ``VOID`` (no new pixel
            has a class) or ``REFUSED``; None without one.
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
    """What the store remembers of a label file."""

    sha256: str
    counts: Counts
    asked: Asked


class LabelStore:
    """All bought labels: the union of the label files of a folder.

    Each round adds one file, which is never edited
    (:mod:`segal.active.label_store.file`), and replaces ``chain.json``, the
    list of all files (:mod:`segal.active.label_store.folder`). Where
    ``chain.json`` does not exist, as in folders of older versions, the next
    append writes it. Single pixels are held in memory, label maps of whole
    images stay on disk. One rank appends, the others reload.

    A place is asked once. Where a whole image is asked after some of its
    pixels, the earlier answers stay, and only the other pixels are counted.

    Args:
        folder: Of the label files; the first :meth:`append` creates it.
        pool: All images that may be asked, each name once.
        experiment: Fingerprint of the experiment that the labels belong to;
            '' for that of the files, for tools that only read.

    Raises:
        StateError: A file is missing, truncated, altered, no label file, or
            belongs to another experiment or pool. Nothing is changed on disk.
        DataError: A name occurs twice in the pool.
    """

    def __init__(
        self, folder: Path, pool: Sequence[PoolImage], experiment: str = ''
    ) -> None:
        self._disk = LabelFolder(folder)
        self.pool = pool
        self.experiment = experiment
        self._state = LabelState(pool)
        self._files: list[_Read] = []
        self._class_counts: dict[int, NDArray[np.int64]] = {}
        self.reload()

    @property
    def folder(self) -> Path:
        """The folder of the label files."""
        return self._disk.path

    @property
    def rounds(self) -> int:
        """The number of label files."""
        return len(self._files)

    @property
    def nbytes(self) -> int:
        """The size of the label state in memory, in bytes."""
        return self._state.nbytes

    def free(self) -> NDArray[np.int64]:
        """Count the places not asked yet, int64 (P,), in pool order."""
        return self._state.free()

    def opened(self) -> NDArray[np.bool_]:
        """Find the images with a request, bool (P,), in pool order."""
        return self._state.free() < self._state.pixels

    def available(self, name: str) -> NDArray[np.bool_]:
        """Find the places of an image that were not asked yet.

        Returns:
            bool (H, W), a new array.
        """
        state, at = self._state, self._state.at(name)
        mask = np.full(self.pool[at].size, not state.asked_whole(at))
        mask.reshape(-1)[state.places[state.row(at)]] = False
        return mask

    def labelled_names(self) -> list[str]:
        """List the images with at least one label, in pool order."""
        positions = np.flatnonzero(self._state.labelled()).tolist()
        return [self.pool[at].name for at in positions]

    def draw(self, name: str, ignore_index: int = 255) -> NDArray[np.uint8]:
        """Draw the bought labels of an image as a label map.

        Args:
            name: Of the image.
            ignore_index: The value of pixels without a label.

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

    def history(self, name: str) -> History:
        """Return every request about an image, whatever the answer."""
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
        """Count the pixels asked, by answer.

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

    def class_counts(self, round: int | None = None) -> NDArray[np.int64]:
        """Count the bought labels of each class.

        The label maps of a round are read once.

        Args:
            round: Of one label file; None for all of them together.

        Returns:
            int64 (256,), 0 for 255.
        """
        if round is None:
            each = map(self.class_counts, range(self.rounds))
            return sum(each, np.zeros(256, np.int64))
        if round not in self._class_counts:
            state = self._state
            new = (state.rounds == round) & (state.status == LABELLED)
            counts = np.bincount(state.classes[new], minlength=256)
            for at in np.flatnonzero(state.whole_round == round).tolist():
                if state.has_map(at):
                    label_map = self._read_map(at).reshape(-1)
                    label_map[state.places[state.row(at)]] = _NO_CLASS
                    counts += np.bincount(label_map, minlength=256)
            counts[_NO_CLASS] = 0
            self._class_counts[round] = counts
        return self._class_counts[round].copy()

    def unlabelled(self, classes: int) -> list[int]:
        """List the ids, of so many classes, without a bought label."""
        missing = set(range(classes))
        for number in range(self.rounds):
            if missing:  # else no further label map is read
                counts = self.class_counts(number)
                missing -= set(np.flatnonzero(counts).tolist())
        return sorted(missing)

    def asked(self, round: int) -> Asked:
        """Count what the requests of a round cost."""
        return self._files[round].asked

    def fingerprint(self, rounds: int | None = None) -> str:
        """Compute a fingerprint of the labels in memory.

        Args:
            rounds: How many rounds count; None for all.

        Returns:
            Equal for two stores exactly if they hold the same answers to the
            same requests, from the same files.
        """
        rounds = self.rounds if rounds is None else rounds
        digest = hashlib.blake2b(
            self._state.fingerprint.encode(), digest_size=16
        )
        for file in self._files[:rounds]:
            digest.update(file.sha256.encode())
        for array in self._state.until(rounds):
            digest.update(array.tobytes())
        return digest.hexdigest()

    def as_on_disk(self, round: int) -> bool:
        """Check whether memory and files hold the same labels of a round.

        Raises:
            StateError: The files have changed since they were read.
        """
        content = self.read(round)
        for problem in map_problems(self._disk, content, self._state):
            raise StateError(problem)
        return self._state.holds(content)

    def selection(self, round: int) -> Selection:
        """Read the selection of a round, with its scores, from its file.

        Raises:
            StateError: The file has changed since it was read.
        """
        return self.read(round).selection()

    def read(self, round: int) -> LabelFile:
        """Read the label file of a round again.

        Raises:
            StateError: The file has changed since it was read.
        """
        path = self._disk.file(round)
        data = self._disk.read(path)
        if sha256(data) != self._files[round].sha256:
            raise StateError(
                f'{path}: wanted the label file that was read before, got '
                'another one; nothing may write there but this experiment; '
                f'{mend(self.folder)}'
            )
        return decode(path, data)

    def sha256(self, round: int) -> str:
        """Return the SHA-256 of a round's label file, in hexadecimal."""
        return self._files[round].sha256

    def append(self, answers: Answers) -> None:
        """Store the answers of a round, on disk first.

        If this raises or the process dies, a store opened afterwards has all
        labels of the round or none.

        Args:
            answers: To every request of the selection, whose round must be
                :attr:`rounds`.

        Raises:
            RuntimeError: The answers do not belong to the selection, or the
                selection asks a place that was asked before.
            StateError: The files cannot be written, or have changed.
        """
        number = self.rounds
        content, maps = self.packed(answers)
        for problem in self._disk.foreign_problems():
            raise StateError(problem)
        data = encode(content)
        self.write_manifest()
        self._disk.write(number, data, maps)
        self._take_in(content, sha256(data))
        self.write_manifest()

    def packed(self, answers: Answers) -> tuple[LabelFile, dict[str, bytes]]:
        """Pack the answers of the next round, without storing them.

        Returns:
            The content of the label file; and file name -> PNG of each label
            map that it names.

        Raises:
            RuntimeError: See :meth:`append`.
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
        content.pool = self._state.fingerprint
        content.previous = self._files[-1].sha256 if self._files else ''
        problem = self._state.problem(content)
        if problem:
            raise RuntimeError(f'round {number}: {problem}')
        return content, maps

    def reload(self) -> None:
        """Read the label files that are new.

        Raises:
            StateError: See the class.
        """
        known = [file.sha256 for file in self._files]
        for found in read_files(
            self._disk, self._state, self.experiment, known
        ):
            if isinstance(found, str):
                raise StateError(found)
            self._take_in(*found)

    def share(self, round: int) -> None:
        """Copy rank 0's file of a round to machines without it."""
        path = self._disk.file(round)
        ranks.share_files(
            self.folder, path.stem, self._disk.manifest_path.name
        )

    def write_manifest(self) -> None:
        """Write ``chain.json``; only the rank that appends may do so.

        Raises:
            StateError: It names files that this store has not read.
        """
        hashes = tuple(file.sha256 for file in self._files)
        found = self._disk.manifest()
        if found and found.files != hashes[: len(found.files)]:
            raise StateError(
                f'{self._disk.manifest_path}: wanted a list of the '
                f'{len(hashes)} label files that this process knows, got one '
                f'of {len(found.files)} that begins otherwise or goes on; is '
                'another process running in this work_dir? '
                f'{mend(self.folder)}'
            )
        wanted = Manifest(self.experiment, self._state.fingerprint, hashes)
        if hashes and found != wanted:
            self._disk.write_manifest(wanted)

    def _take_in(self, content: LabelFile, digest: str) -> None:
        """Add a label file to the state in memory."""
        before = int(self.opened().sum())
        self._state.take_in(content)
        asked = content.asked(int(self.opened().sum()) - before)
        self._files.append(_Read(digest, content.counts(), asked))
        self.experiment = content.experiment

    def _read_map(self, at: int) -> NDArray[np.uint8]:
        """Read the label map of an image that was asked as a whole, (H, W)."""
        path = self._disk.map(int(self._state.whole_round[at]), at)
        try:
            with Image.open(io.BytesIO(self._disk.read(path))) as png:
                label_map = np.array(png)
        except (OSError, SyntaxError, ValueError) as error:
            raise StateError(
                f'{path}: wanted a label map, got {error}; {mend(self.folder)}'
            ) from error
        wanted = tuple(self.pool[at].size)
        if label_map.shape != wanted or label_map.dtype != np.uint8:
            raise StateError(
                f'{path}: wanted a label map uint8 {wanted}, got '
                f'{label_map.dtype} {label_map.shape}; {mend(self.folder)}'
            )
        return label_map
