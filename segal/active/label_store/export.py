"""Bought labels for other tools: lines of JSON, and mmseg's label maps."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segal.active.label_store.folder import LabelFolder
from segal.active.label_store.parse import parse
from segal.active.label_store.records import (
    file_record,
    map_path,
    request_records,
)
from segal.active.label_store.store import LabelStore
from segal.errors import StateError
from segal.files import sync_folder

Part = Literal['jsonl', 'maps']
PARTS: tuple[Part, ...] = ('jsonl', 'maps')
RECORDS = 'labels.jsonl'


class Exported(NamedTuple):
    """What an export wrote.

    Attributes:
        files: Label files.
        requests: Records of requests.
        label_maps: mmseg label maps.
    """

    files: int
    requests: int
    label_maps: int


def export(
    store: LabelStore,
    classes: Sequence[str],
    out: Path,
    parts: Collection[Part] = PARTS,
) -> Exported:
    """Write ``labels.jsonl`` with label maps beside it, and mmseg's maps.

    All of it appears at once, or nothing. The lines are read back before, and
    have to give the label files byte by byte.

    Args:
        store: With the labels.
        classes: Names of the C classes.
        out: A folder that is empty or not there yet.
        parts: ``jsonl`` for ``labels.jsonl`` and ``maps/``, ``maps`` for
            ``label_maps/``: of each image with a label uint8 (H, W), 255
            where no label was bought.

    Raises:
        StateError: ``out`` holds something, or cannot be written; or the
            label files are not what they were.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StateError(
            f'{out}: wanted an empty folder, or none, to export to, got one '
            'with something in it; name another'
        )
    unfinished = out.with_name(f'.{out.name}.{os.getpid()}.tmp')
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        unfinished.mkdir()
        try:
            requests = label_maps = 0
            if 'jsonl' in parts:
                requests = _write_records(store, classes, unfinished)
            if 'maps' in parts:
                label_maps = _write_label_maps(store, unfinished)
            for folder, _, _ in os.walk(unfinished):
                sync_folder(Path(folder))
            os.replace(unfinished, out)
            sync_folder(out.parent)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    except OSError as error:
        raise StateError(
            f'{out}: cannot be written ({error}); mend that and export again'
        ) from error
    return Exported(store.rounds, requests, label_maps)


def _write_records(
    store: LabelStore, classes: Sequence[str], folder: Path
) -> int:
    """``labels.jsonl`` and ``maps/``; how many requests."""
    disk = LabelFolder(store.folder)
    heads: list[str] = []
    lines: list[str] = []
    for number in range(store.rounds):
        content, data = store.read(number)
        heads.append(json.dumps(file_record(content, data, classes)))
        lines += map(json.dumps, request_records(content, classes))
        for named in content.maps:
            if named is not None:
                png = disk.file(number).with_suffix('') / named[0]
                target = folder / map_path(number, named[0])
                _write(target, disk.read(png))
    text = '\n'.join([*heads, *lines, ''])
    again = [file.sha256 for file in parse(str(folder / RECORDS), text)]
    assert again == [store.sha256(i) for i in range(store.rounds)]
    _write(folder / RECORDS, text.encode())
    return len(lines)


def _write_label_maps(store: LabelStore, folder: Path) -> int:
    """``label_maps/``; how many.

    An image's own suffix becomes ``.png``, as mmseg has it; where that gives
    two images one name, it is kept before the new one.
    """
    names = [PurePosixPath(image.name) for image in store.pool]
    taken = Counter(name.with_suffix('.png') for name in names)
    written = store.labelled_names()
    for text in written:
        name = PurePosixPath(text)
        if name.is_absolute() or '..' in name.parts:
            raise StateError(
                f'{text!r}: wanted an image name within the data set, got '
                'one that leads out of it; export with --only jsonl'
            )
        short = name.with_suffix('.png')
        path = (
            short if taken[short] == 1 else name.with_name(name.name + '.png')
        )
        _write_png(folder / 'label_maps' / path, store.draw(text))
    return len(written)


def _write_png(path: Path, label_map: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, 'wb') as file:
        Image.fromarray(label_map).save(file, 'PNG')
        file.flush()
        os.fsync(file.fileno())


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, 'wb') as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
