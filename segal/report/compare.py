"""Compare two work_dirs: labels, rounds and checkpoints."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segal.active.label_store.file import decode, round_path
from segal.errors import StateError
from segal.models.weights import last_checkpoint
from segal.report.checkpoint_drift import (
    TensorDrift,
    compare_checkpoints,
    unlike,
)
from segal.rounds import read_rounds

TIMES = 'seconds'
"""Key of a row of ``rounds.json`` that differs between any two runs."""

_ROUND = re.compile(r'round_(\d+)(?=/|\.npz$)')


@dataclass(frozen=True)
class RoundDrift:
    """The differences of one round.

    Attributes:
        round: From 0.
        labels: The round's files in ``labels/`` whose bytes differ, relative
            to ``labels/``, each with the difference.
        picks: How many places (or whole images) a run asked; None where a
            label file is missing or damaged.
        picks_differ: How many of them the other run did not ask; None as
            above.
        row: Keys of the row of ``rounds.json`` that differ.
        miou: ``|difference|`` of mIoU, in [0, 1]; None where a row has none.
        tensors: Of ``final.pth``, weights and optimizer together.
        values: Other keys of ``final.pth`` that differ, such as
            ``meta.epoch``.
    """

    round: int
    labels: tuple[str, ...]
    picks: int | None
    picks_differ: int | None
    row: tuple[str, ...]
    miou: float | None
    tensors: TensorDrift
    values: tuple[str, ...]

    @property
    def identical(self) -> bool:
        """Whether nothing differs."""
        return not (
            self.labels or self.row or self.tensors.differ or self.values
        )

    def differences(self) -> list[str]:
        """List all differences, one sentence each."""
        sentences = [f'labels/{name}' for name in self.labels]
        if self.picks_differ:
            sentences.append(
                f'{self.picks_differ} of {self.picks} picks differ'
            )
        sentences += [f'rounds.json: {key}' for key in self.row]
        drift = self.tensors
        if drift.differ:
            sentences.append(
                f'final.pth: {drift.differ} of {drift.compared} tensors '
                f'differ, the first is {drift.first}; by up to '
                f'{drift.absolute:.3g}, relative {drift.relative:.3g}'
            )
        sentences += [f'final.pth: {key}' for key in self.values]
        return [f'round {self.round}: {text}' for text in sentences]


@dataclass(frozen=True)
class Comparison:
    """The differences of two runs, by round.

    The ``others`` are files of ``labels/`` that differ and are of no round.
    """

    rounds: tuple[RoundDrift, ...]
    others: tuple[str, ...] = ()

    @property
    def identical(self) -> bool:
        """Whether nothing differs."""
        return not self.others and all(one.identical for one in self.rounds)

    def differences(self) -> list[str]:
        """List all differences, one sentence each."""
        sentences = [f'labels/{name}' for name in self.others]
        for one in self.rounds:
            sentences += one.differences()
        return sentences


def compare(work_dir_a: Path, work_dir_b: Path) -> Comparison:
    """Compare the files of two runs of one config.

    Label files are compared byte by byte, rows of ``rounds.json`` without
    times, tensors of ``final.pth`` bit by bit, and its other values by value.
    Paths of the work_dirs do not count.

    Raises:
        StateError: A folder holds no experiment, or one that cannot be read.
    """
    a, b = Path(work_dir_a), Path(work_dir_b)
    for folder in (a, b):
        if not any((folder / x).exists() for x in ('rounds.json', 'labels')):
            raise StateError(
                f'{folder}: wanted the work_dir of an experiment, got a '
                'folder without rounds.json and labels, or none at all'
            )
    rows = [_rows(folder) for folder in (a, b)]
    files = dict(_label_files(a, b))
    numbers = sorted(
        {*rows[0], *rows[1]}
        | {n for x in (a, b) for path in x.glob('round_*/final.pth')
           if (n := _number(path.relative_to(x).as_posix())) is not None}
        | {n for name in files if (n := _number(name)) is not None}
    )  # fmt: skip
    rounds = tuple(
        _round(a, b, number, rows[0].get(number), rows[1].get(number), files)
        for number in numbers
    )
    others = tuple(
        f'{name}: {what}'
        for name, what in files.items()
        if what and _number(name) is None
    )
    return Comparison(rounds, others)


def _round(
    a: Path,
    b: Path,
    number: int,
    row_a: dict[str, Any] | None,
    row_b: dict[str, Any] | None,
    files: dict[str, str | None],
) -> RoundDrift:
    labels = tuple(
        f'{name}: {what}'
        for name, what in files.items()
        if what and _number(name) == number
    )
    asked_a, asked_b = (_picks(x / 'labels', number) for x in (a, b))
    picks = picks_differ = None
    if asked_a is not None and asked_b is not None:
        picks = max(len(asked_a), len(asked_b))
        picks_differ = max(len(asked_a - asked_b), len(asked_b - asked_a))
    row = tuple(unlike(row_a or {}, row_b or {}))
    if (row_a is None) != (row_b is None):
        row = (f'{a if row_a is None else b} lacks the row',)
    miou_a, miou_b = ((row or {}).get('mIoU') for row in (row_a, row_b))
    finals = [last_checkpoint(folder, number) for folder in (a, b)]
    tensors, values = TensorDrift(), list[str]()
    if all(path.exists() for path in finals):
        tensors, values = compare_checkpoints(*finals)
    elif any(path.exists() for path in finals):
        values = [f'{b if finals[0].exists() else a} lacks it']
    return RoundDrift(
        round=number,
        labels=labels,
        picks=picks,
        picks_differ=picks_differ,
        row=row,
        miou=(
            None if miou_a is None or miou_b is None else abs(miou_a - miou_b)
        ),
        tensors=tensors,
        values=tuple(values),
    )


def _rows(work_dir: Path) -> dict[int, dict[str, Any]]:
    """Read the rows of ``rounds.json`` without times, by round."""
    return {
        row['round']: {k: v for k, v in row.items() if k != TIMES}
        for row in read_rounds(work_dir)
    }


def _number(name: str) -> int | None:
    """Read the round from ``round_003.npz`` or ``round_003/anything``."""
    match = _ROUND.match(name)
    return int(match[1]) if match else None


def _label_files(a: Path, b: Path) -> Iterator[tuple[str, str | None]]:
    """Yield every file of ``labels/`` with its difference, or None."""
    found = [
        {
            path.relative_to(folder / 'labels').as_posix(): path
            for path in (folder / 'labels').rglob('*')
            if not path.is_dir()
        }
        for folder in (a, b)
    ]
    for name in sorted({*found[0], *found[1]}):
        paths = [files.get(name) for files in found]
        if paths[0] is None or paths[1] is None:
            yield name, f'{b if paths[1] is None else a} lacks it'
        elif paths[0].read_bytes() != paths[1].read_bytes():
            yield name, 'the bytes differ'
        else:
            yield name, None


def _picks(folder: Path, number: int) -> set[tuple[str, int]] | None:
    """Read what a label file asked; None where missing or damaged."""
    path = round_path(folder, number)
    try:
        content = decode(path, path.read_bytes())
    except (OSError, StateError):
        return None
    if content.whole:
        return {(name, -1) for name, _, _ in content.images}
    picks: set[tuple[str, int]] = set()
    for k, (name, _, _) in enumerate(content.images):
        row = slice(*content.offsets[k : k + 2].tolist())
        picks.update((name, place) for place in content.places[row].tolist())
    return picks
