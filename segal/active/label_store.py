"""Which pixels are labelled, with what: the only owner of that state."""

from __future__ import annotations

import hashlib
import io
import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segal.errors import DataError, StateError
from segal.structures import (
    LABELLED,
    REFUSED,
    VOID,
    Answers,
    ImageAnswers,
    PixelAnswers,
    PoolImage,
    Selection,
)

from .label_file import (
    Counts,
    LabelFile,
    decode,
    encode,
    round_path,
    sha256,
    sync_folder,
    write_synced,
)

__all__ = [
    'Counts',
    'History',
    'LabelStore',
    'PixelLabels',
    'WholeLabels',
    'pool_fingerprint',
]

_NO_CLASS = 255
_NEVER = -1


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
        whole_status: What came of that: ``LABELLED``, ``VOID`` (no pixel of
            it has a class) or ``REFUSED``; None where it was not asked.
    """

    places: NDArray[np.int32]
    classes: NDArray[np.uint8]
    status: NDArray[np.uint8]
    rounds: NDArray[np.uint16]
    whole: bool
    round: int | None
    whole_status: int | None


@dataclass(frozen=True)
class _Written:
    """What is remembered of a label file."""

    sha256: str
    counts: Counts


def pool_fingerprint(pool: Sequence[PoolImage]) -> str:
    """A fingerprint of the names, the sizes and the order of a pool."""
    digest = hashlib.blake2b(digest_size=16)
    for image in pool:
        digest.update(
            f'{image.name}\0{image.size[0]}x{image.size[1]}\n'.encode()
        )
    return digest.hexdigest()


class LabelStore:
    """All answers that were bought: the union of the files of a folder.

    One file a round, written whole and never edited (the format is told in
    :mod:`segal.active.label_file`). In memory the pixels lie in flat arrays
    sorted by image, 8 bytes each; the names are those of the pool, not copied;
    label maps of whole images stay on disk. One rank appends, the others
    reload.

    A place is asked once: of a whole image whose pixels were partly asked
    before, the earlier answers stand, and only the other pixels are counted.

    Args:
        folder: Of the label files; made by the first :meth:`append`.
        pool: All images that may be asked, each name once.
        experiment: Fingerprint of the experiment that the labels belong to.

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
        self._pool_fingerprint = pool_fingerprint(pool)
        self._pixels = np.array([image.pixels for image in pool], np.int32)
        self._by_name = np.array(
            sorted(range(len(pool)), key=lambda i: pool[i].name), np.int32
        )
        for a, b in zip(self._by_name, self._by_name[1:], strict=False):
            if pool[a].name == pool[b].name:
                raise DataError(
                    f'{pool[a].name!r} is in the pool twice; every image '
                    'needs a name of its own'
                )
        self._offsets = np.zeros(len(pool) + 1, np.int32)
        self._places = np.empty(0, np.int32)
        self._classes = np.empty(0, np.uint8)
        self._status = np.empty(0, np.uint8)
        self._rounds = np.empty(0, np.uint16)
        self._whole_round = np.full(len(pool), _NEVER, np.int32)
        self._whole_status = np.zeros(len(pool), np.uint8)
        self._files: list[_Written] = []
        self.reload()

    # -- what is there ----------------------------------------------------

    @property
    def rounds(self) -> int:
        """Label files so far."""
        return len(self._files)

    @property
    def nbytes(self) -> int:
        """Bytes of the label state in memory."""
        return sum(
            value.nbytes
            for value in vars(self).values()
            if isinstance(value, np.ndarray)
        )

    def free(self) -> NDArray[np.int64]:
        """How many places were not asked yet, int64 (P,), in pool order."""
        asked = np.diff(self._offsets)
        free = self._pixels.astype(np.int64) - asked
        free[self._whole_round != _NEVER] = 0
        return free

    def available(self, name: str) -> NDArray[np.bool_]:
        """Which places of an image were not asked yet.

        Args:
            name: Of the image.

        Returns:
            bool (H, W), a new array.
        """
        at = self._at(name)
        if self._whole_round[at] != _NEVER:
            return np.zeros(self.pool[at].size, bool)
        mask = np.ones(self.pool[at].pixels, bool)
        mask[self._places[self._row(at)]] = False
        return mask.reshape(self.pool[at].size)

    def labelled_names(self) -> list[str]:
        """The images that have at least one label, in pool order."""
        return [self.pool[i].name for i in np.flatnonzero(self._labelled())]

    def draw(self, name: str, ignore_index: int = 255) -> NDArray[np.uint8]:
        """An image's bought labels as a label map.

        Args:
            name: Of the image.
            ignore_index: What stands wherever no label was bought.

        Returns:
            uint8 (H, W), training class ids, a new array.
        """
        at = self._at(name)
        row = self._row(at)
        if self._has_map(at):
            drawn = self._read_map(at)  # (H, W)
            if ignore_index != _NO_CLASS:
                drawn[drawn == _NO_CLASS] = ignore_index
        else:
            drawn = np.full(self.pool[at].size, ignore_index, np.uint8)
        drawn.reshape(-1)[self._places[row]] = np.where(
            self._status[row] == LABELLED, self._classes[row], ignore_index
        )
        return drawn

    def labels(self, name: str) -> PixelLabels | WholeLabels:
        """An image's bought labels, without void and refused requests."""
        at = self._at(name)
        if self._has_map(at):
            return WholeLabels(self.draw(name), int(self._whole_round[at]))
        row = self._row(at)
        labelled = self._status[row] == LABELLED
        return PixelLabels(
            self._places[row][labelled],
            self._classes[row][labelled],
            self._rounds[row][labelled],
        )

    def history(self, name: str) -> History:
        """Every request that concerned an image, whatever came of it."""
        at = self._at(name)
        row = self._row(at)
        whole = bool(self._whole_round[at] != _NEVER)
        return History(
            self._places[row].copy(),
            self._classes[row].copy(),
            self._status[row].copy(),
            self._rounds[row].copy(),
            whole,
            int(self._whole_round[at]) if whole else None,
            int(self._whole_status[at]) if whole else None,
        )

    def counts(self, round: int | None = None) -> Counts:
        """The ledger.

        Args:
            round: Of one label file; None for all of them together.
        """
        if round is not None:
            return self._files[round].counts
        sums = [
            sum(x) for x in zip(*(f.counts for f in self._files), strict=True)
        ]
        return Counts(*(sums[:4] or [0, 0, 0, 0]), int(self._labelled().sum()))

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
            row = slice(*content.offsets[k : k + 2])
            selection.places[name] = content.places[row].astype(np.int64)
            if len(content.scores):
                one = slice(k, k + 1)
                selection.scores[name] = content.scores[
                    one if content.unit == 'image' else row
                ]
        return selection

    # -- what comes in ----------------------------------------------------

    def append(self, answers: Answers) -> None:
        """Keep the answers of a round, on disk first.

        Once this returns they are never lost; where it raises, or the process
        dies, the round was not bought, and can be appended again.

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
        content, maps = self._content(answers)
        problem = self._problem(content)
        if problem:
            raise RuntimeError(f'round {number}: {problem}')
        data = encode(content)
        path = round_path(self.folder, number)
        if path.exists():
            raise StateError(
                f'{path}: wanted to write a new label file, got one that is '
                'there already; is another process running in this work_dir?'
            )
        try:
            maps_folder = path.with_suffix('')
            for made in (self.folder, *([maps_folder] if maps else [])):
                if not made.is_dir():
                    made.mkdir(parents=True)
                    sync_folder(made.parent)
            for name, png in maps.items():
                write_synced(maps_folder / name, png)
            write_synced(path, data)
        except OSError as error:
            raise StateError(
                f'{path}: cannot be written ({error}); mend that and start '
                'again: everything bought before is safe'
            ) from error
        self._take_in(content, sha256(data))

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
                    + '; restore it from a copy, or start in another work_dir'
                )
        for number in range(self.rounds, len(numbers)):
            self._read_round(number)

    # -- within -----------------------------------------------------------

    def _at(self, name: str) -> int:
        """An image's position in the pool."""
        pool = self.pool
        i = bisect_left(self._by_name, name, key=lambda at: pool[at].name)
        if i < len(pool) and pool[at := int(self._by_name[i])].name == name:
            return at
        raise RuntimeError(f'{name!r} is not in the pool')

    def _row(self, at: int) -> slice:
        """Where an image's pixels lie in the flat arrays."""
        return slice(self._offsets[at], self._offsets[at + 1])

    def _has_map(self, at: int) -> bool:
        return bool(
            self._whole_round[at] != _NEVER
            and self._whole_status[at] != REFUSED
        )

    def _labelled(self) -> NDArray[np.bool_]:
        """Which images have at least one label, bool (P,)."""
        running = np.zeros(len(self._status) + 1, np.int64)
        np.cumsum(self._status == LABELLED, out=running[1:])
        by_pixels = np.diff(running[self._offsets]) > 0  # (P,)
        by_whole = (self._whole_round != _NEVER) & (
            self._whole_status == LABELLED
        )
        return by_pixels | by_whole

    def _map_path(self, at: int, number: int) -> Path:
        folder = round_path(self.folder, number).with_suffix('')
        return folder / f'{at:06d}.png'

    def _read_map(self, at: int) -> NDArray[np.uint8]:
        path = self._map_path(at, int(self._whole_round[at]))
        with Image.open(io.BytesIO(_read(path))) as png:
            return np.array(png, np.uint8)  # (H, W)

    def _on_disk(self) -> set[int]:
        if not self.folder.exists():
            return set()
        numbers = set()
        for path in self.folder.iterdir():
            match = re.fullmatch(r'round_(\d+)\.npz', path.name)
            if match and path == round_path(self.folder, int(match[1])):
                numbers.add(int(match[1]))
        return numbers

    def _read_round(self, number: int) -> None:
        path = round_path(self.folder, number)
        data = _read(path)
        content = decode(path, data)
        previous = self._files[-1].sha256 if self._files else ''
        for what, wanted, got in (
            ('experiment', self.experiment, content.experiment),
            ('pool', self._pool_fingerprint, content.pool),
            ('round', number, content.round),
            ('file before it', previous, content.previous),
        ):
            if wanted != got:
                raise StateError(
                    f'{path}: wanted labels of {what} {wanted or "(none)"}, '
                    f'got those of {what} {got or "(none)"}; start in another '
                    'work_dir, or with the config and data that wrote this one'
                )
        problem = self._problem(content)
        if problem:
            raise StateError(
                f'{path}: {problem}; restore it from a copy, or start in '
                'another work_dir'
            )
        for (name, _, _), named in zip(
            content.images, content.maps, strict=False
        ):
            if named is not None:
                map_path = self._map_path(self._at(name), number)
                if (map_path.name, sha256(_read(map_path))) != named:
                    raise StateError(
                        f'{map_path}: wanted the label map of {name!r} with '
                        f'SHA-256 {named[1]}, got another file; restore it '
                        'from a copy, or start in another work_dir'
                    )
        self._take_in(content, sha256(data))

    def _content(self, answers: Answers) -> tuple[LabelFile, dict[str, bytes]]:
        """Answers as a label file, and the label maps it names, as PNG.

        Raises:
            RuntimeError: They are not the answers to their selection.
        """
        selection = answers.selection
        if set(answers.images) != set(selection.places):
            odd = sorted(set(answers.images) ^ set(selection.places))
            raise RuntimeError(
                f'wanted answers for the {len(selection.places)} images of '
                f'the selection, got them for {len(answers.images)} '
                f'(differing in {odd[0]!r})'
            )
        scored = selection.scores
        if scored and set(scored) != set(selection.places):
            raise RuntimeError('wanted scores for all selected images or none')
        names = sorted(selection.places, key=self._at)
        whole = selection.unit == 'image'
        places: list[NDArray] = []
        classes: list[NDArray] = []
        status: list[NDArray] = []
        scores: list[NDArray] = []
        maps: list[tuple[str, str] | None] = []
        shares: list[NDArray] = []
        pngs: dict[str, bytes] = {}
        for name in names:
            answer = answers.images[name]
            asked = np.asarray(selection.places[name])
            if whole:
                at = self._at(name)
                label_map, share = self._whole_answer(at, answer)
                shares.append(share)
                status.append(
                    np.array([REFUSED if label_map is None else VOID])
                )
                if share[LABELLED]:
                    status[-1][0] = LABELLED
                maps.append(None)
                if label_map is not None:
                    file_name = self._map_path(at, selection.round).name
                    pngs[file_name] = _as_png(label_map)
                    maps[-1] = (file_name, sha256(pngs[file_name]))
            else:
                clean = self._pixel_answer(name, asked, answer)
                places.append(asked)
                classes.append(clean.classes)
                status.append(clean.status)
            if scored:
                scores.append(np.asarray(scored[name]))
                wanted = 1 if whole else len(asked)
                if scores[-1].shape != (wanted,):
                    raise RuntimeError(
                        f'{name!r}: wanted {wanted} scores, got '
                        f'{scores[-1].shape}'
                    )
        lengths = [len(x) for x in places] or [0] * len(names)
        content = LabelFile(
            round=selection.round,
            unit=selection.unit,
            experiment=self.experiment,
            pool=self._pool_fingerprint,
            previous=self._files[-1].sha256 if self._files else '',
            images=[(x, *self.pool[self._at(x)].size) for x in names],
            offsets=np.cumsum([0, *lengths]).astype(np.int32),
            places=_flat(places, np.int32),
            classes=_flat(classes, np.uint8),
            status=_flat(status, np.uint8),
            scores=_flat(scores, np.float32),
            maps=maps,
            shares=np.array(shares, np.int32).reshape(-1, 3),
        )
        return content, pngs

    def _pixel_answer(
        self,
        name: str,
        asked: NDArray[np.int64],
        answer: PixelAnswers | ImageAnswers,
    ) -> PixelAnswers:
        """One image's answers, 255 for the class where there is none.

        Raises:
            RuntimeError: They are not the answers to what was asked.
        """
        if not isinstance(answer, PixelAnswers):
            raise RuntimeError(
                f'{name!r}: wanted answers to {len(asked)} pixels, got '
                f'{type(answer).__name__}'
            )
        if not np.array_equal(asked, answer.places):
            raise RuntimeError(
                f'{name!r}: wanted answers to the {len(asked)} places that '
                f'were asked, got {len(answer.places)} that are not the same'
            )
        status, classes = np.asarray(answer.status), np.asarray(answer.classes)
        if not (status.shape == classes.shape == asked.shape):
            raise RuntimeError(
                f'{name!r}: wanted {len(asked)} classes and statuses, got '
                f'{classes.shape} and {status.shape}'
            )
        if not np.isin(status, (LABELLED, VOID, REFUSED)).all():
            raise RuntimeError(
                f'{name!r}: wanted statuses {LABELLED}, {VOID} or {REFUSED}, '
                f'got {sorted(set(status.tolist()))}'
            )
        bought = classes[status == LABELLED]
        if len(bought) and not 0 <= bought.min() <= bought.max() < _NO_CLASS:
            raise RuntimeError(
                f'{name!r}: wanted class ids in [0, {_NO_CLASS - 1}] where '
                f'labelled, got {bought.min()} to {bought.max()}'
            )
        classes = np.where(status == LABELLED, classes, _NO_CLASS)
        return PixelAnswers(asked, classes, status)

    def _whole_answer(
        self, at: int, answer: PixelAnswers | ImageAnswers
    ) -> tuple[NDArray[np.uint8] | None, NDArray[np.int64]]:
        """One image's label map, and pixels labelled, void and refused.

        Raises:
            RuntimeError: It is no label map of that image.
        """
        image = self.pool[at]
        if not isinstance(answer, ImageAnswers):
            raise RuntimeError(
                f'{image.name!r}: wanted the answer to a whole image, got '
                f'{type(answer).__name__}'
            )
        new = self.available(image.name)  # (H, W)
        share = np.zeros(3, np.int64)
        label_map = answer.label_map
        if label_map is None:
            share[REFUSED] = new.sum()
            return None, share
        if label_map.shape != tuple(image.size) or label_map.dtype != np.uint8:
            raise RuntimeError(
                f'{image.name!r}: wanted a label map uint8 {image.size}, got '
                f'{label_map.dtype} {label_map.shape}'
            )
        share[VOID] = (label_map[new] == _NO_CLASS).sum()
        share[LABELLED] = new.sum() - share[VOID]
        return label_map, share

    def _problem(self, content: LabelFile) -> str | None:
        """What forbids taking in a round; None where nothing does."""
        by_name = {}
        for name, height, width in content.images:
            try:
                at = self._at(name)
            except RuntimeError as error:
                return str(error)
            if tuple(self.pool[at].size) != (height, width):
                return (
                    f'{name!r}: wanted size {self.pool[at].size}, got '
                    f'{(height, width)}'
                )
            if name in by_name:
                return f'{name!r} occurs twice'
            by_name[name] = at
            if self._whole_round[at] != _NEVER:
                return (
                    f'{name!r} was asked as a whole in round '
                    f'{self._whole_round[at]} and may not be asked again'
                )
        positions = np.array(list(by_name.values()), np.int64)
        if content.unit == 'image':
            for name, at in by_name.items():
                if (
                    self._offsets[at + 1] - self._offsets[at]
                    == (self._pixels[at])
                ):
                    return f'every pixel of {name!r} was asked before'
            return None
        image = np.repeat(positions, np.diff(content.offsets))  # (N,)
        places = content.places
        outside = (places < 0) | (places >= self._pixels[image])
        if outside.any():
            i = int(outside.argmax())
            return (
                f'{self.pool[image[i]].name!r}: place {places[i]} is outside '
                f'its {self._pixels[image[i]]} pixels'
            )
        if (content.classes[content.status == LABELLED] == _NO_CLASS).any():
            return f'a label of class {_NO_CLASS}'
        asked = np.sort(image << 32 | places)
        again = asked[1:][asked[1:] == asked[:-1]]
        if not len(again):
            rows = np.repeat(np.arange(len(self.pool)), np.diff(self._offsets))
            again = np.intersect1d(asked, rows << 32 | self._places)
        if len(again):
            at, place = divmod(int(again[0]), 1 << 32)
            return f'{self.pool[at].name!r}: place {place} was asked twice'
        return None

    def _take_in(self, content: LabelFile, digest: str) -> None:
        """Add a sound round to the state in memory."""
        positions = np.array(
            [self._at(name) for name, _, _ in content.images], np.int64
        )
        if content.unit == 'image':
            self._whole_round[positions] = content.round
            self._whole_status[positions] = content.status
        else:
            lengths = np.diff(content.offsets)
            ends = np.repeat(self._offsets[positions + 1], lengths)  # (N,)
            for mine, new in (
                ('_places', content.places),
                ('_classes', content.classes),
                ('_status', content.status),
                ('_rounds', np.uint16(content.round)),
            ):
                setattr(self, mine, np.insert(getattr(self, mine), ends, new))
            added = np.zeros(len(self.pool), np.int32)
            added[positions] = lengths
            self._offsets[1:] += np.cumsum(added, dtype=np.int32)
        self._files.append(_Written(digest, content.counts()))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StateError(
            f'{path}: wanted a file that holds bought labels, got {error}; '
            'restore it from a copy, or start in another work_dir'
        ) from error


def _as_png(label_map: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(label_map).save(buffer, 'PNG')
    return buffer.getvalue()


def _flat(parts: list[NDArray], dtype: type) -> NDArray:
    """All parts in one array; empty where there are none."""
    return np.concatenate([np.empty(0, dtype), *parts]).astype(dtype)
