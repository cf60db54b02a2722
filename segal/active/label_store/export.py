"""Export bought labels: lines of JSON, and label maps as mmseg has them.

``labels.jsonl`` begins with one record for each label file (``record`` is
``file``): its round, unit, fingerprints, SHA-256, counts, classes and images.
Then comes one record for each request, in the order of the files (``record``
is ``request``)::

    {"record": "request", "round": 1, "image": "set/a.png", "row": 3,
     "column": 5, "class": 2, "class_name": "sky", "status": "labelled",
     "score": 0.25}

A request for the pixel of a region also has ``region``, the number of the
region in the image; the record of its file has ``answer``, ``all`` or
``dominant``.

The request for a whole image has no row, column and class. It has ``map``,
the path of its label map beside ``labels.jsonl``, ``sha256`` of the map, and
``pixels``: how many pixels that were not asked before are labelled, void and
refused.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple

from PIL import Image

from segal.active.label_store.file import LabelFile
from segal.active.label_store.folder import LabelFolder
from segal.active.label_store.store import LabelStore
from segal.errors import StateError
from segal.files import png_names, sync_folder
from segal.structures import LABELLED, REFUSED, VOID

Part = Literal['jsonl', 'maps']
PARTS: tuple[Part, ...] = ('jsonl', 'maps')
RECORDS = 'labels.jsonl'
FORMAT = 2
STATUS = {LABELLED: 'labelled', VOID: 'void', REFUSED: 'refused'}

Record = dict[str, Any]


class Exported(NamedTuple):
    """What an export wrote."""

    files: int
    requests: int
    label_maps: int


def export(
    store: LabelStore,
    classes: Sequence[str],
    out: Path,
    parts: Collection[Part] = PARTS,
) -> Exported:
    """Write ``labels.jsonl`` with its label maps, and mmseg's label maps.

    All of it appears at once, or nothing.

    Args:
        store: With the labels.
        classes: Names of the C classes.
        out: A folder that is empty or does not exist.
        parts: ``jsonl`` for ``labels.jsonl`` and ``maps/``, ``maps`` for
            ``label_maps/``: of each image with a label uint8 (H, W), 255
            where no label was bought.

    Raises:
        StateError: ``out`` is not empty, or cannot be written; or the label
            files have changed.
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
            for folder, _, files in os.walk(unfinished):
                for name in files:
                    with open(Path(folder, name), 'rb') as file:
                        os.fsync(file.fileno())
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


def request_records(
    content: LabelFile, classes: Sequence[str], only: str | None = None
) -> Iterator[Record]:
    """Describe each request of a label file, in its order.

    Args:
        content: Of the file.
        classes: Names of the C classes.
        only: Name of the one image to describe; all where None.
    """
    whole = content.whole
    for k, (name, _, answers) in enumerate(content.rows()):
        if only not in (None, name):
            continue
        for i in range(answers.start, answers.stop):
            status = int(content.status[i])
            row = column = found = score = None
            if not whole:
                row, column = divmod(
                    int(content.places[i]), content.images[k][2]
                )
                if status == LABELLED:
                    found = int(content.classes[i])
            if len(content.scores):
                score = float(content.scores[i])
            record: Record = {
                'record': 'request',
                'round': content.round,
                'image': name,
                'row': row,
                'column': column,
                'class': found,
                'class_name': found
                if found is None
                else _title(found, classes),
                'status': STATUS[status],
                'score': score
                if score is None or math.isfinite(score)
                else str(score),
            }
            if len(content.regions):
                record['region'] = int(content.regions[i])
            if whole:
                named = content.maps[k]
                record.update(
                    map=named and _map_path(content.round, named[0]),
                    sha256=named and named[1],
                    pixels={
                        word: int(content.shares[k, number])
                        for number, word in STATUS.items()
                    },
                )
            yield record


def _title(found: int, classes: Sequence[str]) -> str:
    """Return the name of a class; its number where it has none."""
    return classes[found] if found < len(classes) else str(found)


def _map_path(number: int, name: str) -> str:
    """Return the path of a label map, relative to ``labels.jsonl``."""
    return f'maps/round_{number:03d}/{name}'


def _file_record(
    content: LabelFile, digest: str, classes: Sequence[str]
) -> Record:
    """Describe a label file, without its requests."""
    answer = {'answer': content.answer} if len(content.regions) else {}
    counts = content.counts()._asdict()
    del counts['images']  # the list of them has that name
    return {
        'record': 'file',
        'format': FORMAT,
        'round': content.round,
        'unit': content.unit,
        'experiment': content.experiment,
        'pool': content.pool,
        'previous': content.previous,
        'sha256': digest,
        'requests': len(content.status),
        'scores': bool(len(content.scores)),
        **counts,
        **answer,
        'classes': list(classes),
        'images': content.images,
    }


def _write_records(
    store: LabelStore, classes: Sequence[str], folder: Path
) -> int:
    """Write ``labels.jsonl`` and ``maps/``; count the requests."""
    disk = LabelFolder(store.folder)
    heads: list[Record] = []
    requests: list[Record] = []
    for number in range(store.rounds):
        content = store.read(number)
        heads.append(_file_record(content, store.sha256(number), classes))
        requests += request_records(content, classes)
        for named in filter(None, content.maps):
            target = folder / _map_path(number, named[0])
            target.parent.mkdir(parents=True, exist_ok=True)
            png = disk.file(number).with_suffix('') / named[0]
            target.write_bytes(disk.read(png))
    lines = map(json.dumps, [*heads, *requests])
    (folder / RECORDS).write_text(''.join(f'{line}\n' for line in lines))
    return len(requests)


def _write_label_maps(store: LabelStore, folder: Path) -> int:
    """Write ``label_maps/``; count the maps.

    As in mmseg, ``.png`` replaces the suffix of an image; it follows the
    suffix where two images would share a name.
    """
    paths = png_names([image.name for image in store.pool])
    written = store.labelled_names()
    for name in written:
        path = PurePosixPath(paths[name])
        if path.is_absolute() or '..' in path.parts:
            raise StateError(
                f'{name!r}: wanted an image name within the data set, got '
                'one that leads out of it; export with --only jsonl'
            )
        target = folder / 'label_maps' / path
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(store.draw(name)).save(target, 'PNG')
    return len(written)
