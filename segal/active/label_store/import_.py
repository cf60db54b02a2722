"""Label files from an export, byte by byte as they were."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from segal.active.label_store.export import RECORDS
from segal.active.label_store.file import sha256
from segal.active.label_store.folder import LabelFolder
from segal.active.label_store.parse import ExportedFile, parse
from segal.active.label_store.pool_file import PoolFile
from segal.active.label_store.state import LabelState
from segal.active.label_store.store import LabelStore, pool_fingerprint
from segal.errors import DataError, StateError


class Export(NamedTuple):
    """An export, read.

    Attributes:
        path: Of its ``labels.jsonl``.
        files: Its label files, in the order of rounds.
    """

    path: Path
    files: list[ExportedFile]

    def maps(self, file: ExportedFile) -> dict[str, bytes]:
        """File name -> PNG of each label map of a file.

        Raises:
            DataError: Some are missing or altered; all of them are named.
        """
        found, problems = {}, []
        wanted = dict(named for named in file.content.maps if named)
        for name, (relative, line) in file.maps.items():
            path = self.path.parent / relative
            try:
                png = path.read_bytes()
            except OSError as error:
                problems.append(f'line {line}: {path}: {error}')
                continue
            if sha256(png) != wanted[name]:
                problems.append(
                    f'line {line}: {path}: wanted the label map with SHA-256 '
                    f'{wanted[name]}, got another file'
                )
            found[name] = png
        if problems:
            listed = '\n  - '.join(problems)
            raise DataError(
                f'{self.path}: wanted the label maps that it names; nothing '
                f'was changed; restore them:\n  - {listed}'
            )
        return found

    def pieces(self) -> dict[str, Path | bytes]:
        """SHA-256 -> each label file, and each label map that is there."""
        found: dict[str, Path | bytes] = {}
        for file in self.files:
            found[file.sha256] = file.data
            for relative, _ in file.maps.values():
                path = self.path.parent / relative
                if path.is_file():
                    found[sha256(path.read_bytes())] = path
        return found


def read_export(source: Path) -> Export:
    """Read an export.

    Args:
        source: Its folder, or its ``labels.jsonl``.

    Raises:
        DataError: It is none, or was altered.
    """
    path = source / RECORDS if source.is_dir() else source
    try:
        text = path.read_text('utf-8')
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f'{path}: wanted an export of label files, got {error}; name the '
            f'folder of `tools/labels.py export`, or its {RECORDS}'
        ) from error
    return Export(path, parse(str(path), text))


def experiment_of(work_dir: Path) -> str:
    """The fingerprint of the experiment that a work_dir was made for.

    Args:
        work_dir: With ``config.json``.

    Raises:
        StateError: It has none, or none that can be read.
    """
    from mmcv import Config  # slow, and only wanted where there are no labels

    from segal.config import fingerprint, read_config

    path = work_dir / 'config.json'
    try:
        cfg = Config(json.loads(path.read_text()))
        config, problems, _ = read_config(cfg)
        if config is None:
            raise ValueError('; '.join(problems))
        return fingerprint(cfg, config)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise StateError(
            f'{path}: wanted the config of the experiment that the labels '
            f'are for, got {type(error).__name__}: {error}; restore it, or '
            'start the experiment once, with --cfg-options '
            'runner.sample_rounds=1'
        ) from error


def import_labels(
    export: Export, work_dir: Path, pool: PoolFile
) -> tuple[int, int]:
    """Give a work_dir the label files of an export.

    Args:
        export: As read.
        work_dir: With no label files, or with the first of these.
        pool: Of the work_dir.

    Returns:
        How many label files were there already, and how many were added.

    Raises:
        DataError: The export lacks a label map.
        StateError: It belongs to another pool or experiment, or the work_dir
            has other label files. Nothing was changed then.
    """
    head = export.files[0].content
    wanted = pool_fingerprint(pool.images)
    if head.pool != wanted:
        raise StateError(
            f'{export.path}: wanted labels of pool {wanted!r}, which '
            f'{work_dir / "pool.json"} tells of, got those of pool '
            f'{head.pool!r}; nothing was changed; import into a work_dir '
            'whose data.query has the same images in the same order'
        )
    store = LabelStore(work_dir / 'labels', pool.images)
    known = min(store.rounds, len(export.files))
    for number in range(known):
        if store.sha256(number) != export.files[number].sha256:
            raise StateError(
                f'{LabelFolder(store.folder).file(number)}: wanted the label '
                f'file of round {number} of {export.path}, with SHA-256 '
                f'{export.files[number].sha256}, or none, got another, with '
                f'{store.sha256(number)}; nothing was changed; import into '
                'another work_dir'
            )
    if not store.rounds:
        experiment = experiment_of(work_dir)
        if experiment != head.experiment:
            raise StateError(
                f'{export.path}: wanted labels of experiment {experiment!r}, '
                f'which {work_dir / "config.json"} tells of, got those of '
                f'experiment {head.experiment!r}; nothing was changed; import '
                'into a work_dir of the same config'
            )
    rest = export.files[store.rounds :]
    _check(export, pool)
    maps = [export.maps(file) for file in rest]
    for file, pngs in zip(rest, maps, strict=True):
        store.restore(file.data, pngs)
    return known, len(rest)


def _check(export: Export, pool: PoolFile) -> None:
    """That all its files go together, before the first is written.

    Raises:
        DataError: They do not.
    """
    state = LabelState(pool.images)
    problems: Sequence[str] = []
    for file in export.files:
        problem = state.problem(file.content)
        if problem:
            first, last = file.lines
            problems = [f'lines {first} to {last}: {problem}']
            break
        state.take_in(file.content)
    if problems:
        raise DataError(
            f'{export.path}: {problems[0]}; nothing was changed; export it '
            'anew'
        )
