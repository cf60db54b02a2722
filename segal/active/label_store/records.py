"""Label files as lines of JSON, and back, byte by byte.

``labels.jsonl`` begins with one record for each label file (``record`` is
``file``): its round, unit, fingerprints and SHA-256, the SHA-256 of the file
before, and its images. Then comes one record for each request, in the order
of the files (``record`` is ``request``)::

    {"record": "request", "round": 1, "image": "set/a.png", "row": 3,
     "column": 5, "class": 2, "class_name": "sky", "status": "labelled",
     "score": 0.25}

A request for the pixel of a region has ``region`` as well, its number in the
image; and the record of its file has ``regions``, true, and ``answer``, what
is said of each.

A whole image has no row, column and class, but ``map``, the path of its label
map beside the file, ``sha256`` of that, and ``pixels``: how many of those not
asked before came out labelled, void and refused.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from segal.active.label_store.file import LabelFile, packed_images, sha256
from segal.structures import LABELLED, REFUSED, VOID

FORMAT = 1
STATUS = {LABELLED: 'labelled', VOID: 'void', REFUSED: 'refused'}
NO_CLASS = 255

Record = dict[str, Any]


def map_path(number: int, name: str) -> str:
    """Where an export has a label map, relative to ``labels.jsonl``."""
    return f'maps/round_{number:03d}/{name}'


def file_record(
    content: LabelFile, data: bytes, classes: Sequence[str]
) -> Record:
    """What an export says of a label file, its requests aside.

    Args:
        content: Of the file.
        data: The file.
        classes: Names of the C classes.
    """
    counts = content.counts()
    asked = (
        dict(regions=True, answer=content.answer)
        if len(content.regions)
        else {}
    )
    return {
        'record': 'file',
        'format': FORMAT,
        'round': content.round,
        'unit': content.unit,
        'experiment': content.experiment,
        'pool': content.pool,
        'previous': content.previous,
        'sha256': sha256(data),
        'requests': len(content.status),
        'scores': bool(len(content.scores)),
        'labelled': counts.labelled,
        'void': counts.void,
        'refused': counts.refused,
        **asked,
        'classes': list(classes),
        'images': content.images,
        'packed_images': base64.b64encode(packed_images(data)).decode(),
    }


def request_records(
    content: LabelFile, classes: Sequence[str], only: str | None = None
) -> Iterator[Record]:
    """One record for each request of a label file, in its order.

    Args:
        content: Of the file.
        classes: Names of the C classes.
        only: Name of the one image to tell of; all where None.
    """
    whole = content.whole
    ends = content.offsets.tolist()
    for k, (name, _, width) in enumerate(content.images):
        if only not in (None, name):
            continue
        for i in range(k, k + 1) if whole else range(ends[k], ends[k + 1]):
            status = int(content.status[i])
            score = (
                _as_json(content.scores[i]) if len(content.scores) else None
            )
            record: Record = {
                'record': 'request',
                'round': content.round,
                'image': name,
            }
            row = column = found = None
            if not whole:
                row, column = divmod(int(content.places[i]), width)
                if status == LABELLED:
                    found = int(content.classes[i])
            record.update(
                row=row,
                column=column,
                **{'class': found},
                class_name=class_title(found, classes),
                status=STATUS[status],
                score=score,
            )
            if len(content.regions):
                record['region'] = int(content.regions[i])
            if whole:
                named = content.maps[k]
                record.update(
                    map=named and map_path(content.round, named[0]),
                    sha256=named and named[1],
                    pixels={
                        word: int(content.shares[k, number])
                        for number, word in STATUS.items()
                    },
                )
            yield record


def class_title(found: int | None, classes: Sequence[str]) -> str | None:
    """Name of a class; its number where it has none."""
    if found is None:
        return None
    return classes[found] if found < len(classes) else str(found)


def _as_json(score: np.float32) -> float | str:
    """A float32 as JSON; its bits in hexadecimal where it is not finite."""
    if math.isfinite(score):
        return float(score)
    return f'0x{int(score.view(np.uint32)):08x}'
