"""Lines of JSON that tell of label files, read and held to what they say.

The format is that of :mod:`segal.active.label_store.records`.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segal.active.label_store.file import (
    LabelFile,
    encode,
    sha256,
    unpack_images,
)
from segal.active.label_store.records import (
    FORMAT,
    NO_CLASS,
    STATUS,
    Record,
    class_title,
    map_path,
)
from segal.errors import DataError
from segal.structures import LABELLED, REFUSED

_NUMBER = {word: number for number, word in STATUS.items()}


@dataclass
class ExportedFile:
    """A label file that an export tells of, as it was.

    Attributes:
        content: Of the file.
        data: The file.
        sha256: Of it.
        maps: File name -> where the export has it (relative) and the line
            that says so.
        lines: First and last line of its requests, from 1; its own line
            twice where it has none.
    """

    content: LabelFile
    data: bytes
    sha256: str
    maps: dict[str, tuple[str, int]]
    lines: tuple[int, int]


@dataclass
class _Open:
    """A label file while its requests are read."""

    line: int
    head: Record
    images: dict[str, int]
    lengths: NDArray[np.int32]
    at: int = 0
    lines: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    classes: list[int] = field(default_factory=list)
    status: list[int] = field(default_factory=list)
    scores: list[int] = field(default_factory=list)  # bits of float32
    maps: list[tuple[str, str] | None] = field(default_factory=list)
    shares: list[list[int]] = field(default_factory=list)
    regions: list[int] = field(default_factory=list)


class LineError(Exception):
    """What is wrong with a line, without its number."""


def parse(source: str, text: str) -> list[ExportedFile]:
    """The label files that an export tells of.

    Args:
        source: Its path, for the messages.
        text: Of ``labels.jsonl``.

    Raises:
        DataError: It is no such export, or was altered; every bad line is
            named.
    """
    files: list[_Open] = []
    problems: list[str] = []
    current = 0
    for number, line in enumerate(text.split('\n'), 1):
        if not line.strip():
            continue
        try:
            record = _record(line)
            if record.get('record') == 'file':
                if any(file.lines for file in files):
                    raise LineError('a label file after the first request')
                files.append(_open(number, record, len(files)))
                continue
            current = _file_of(record, files, current)
            _take(record, files[current])
            files[current].lines.append(number)
        except LineError as error:
            problems.append(f'line {number}: {error}')
    if not files and not problems:
        problems.append('line 1: wanted a record of a label file, got none')
    if problems:
        raise _bad(source, problems)
    done: list[ExportedFile] = []
    for file in files:
        try:
            done.append(_close(file, done[-1] if done else None))
        except LineError as error:
            problems.append(str(error))
            break  # those after it name this one
    if problems:
        raise _bad(source, problems)
    return done


def _bad(source: str, problems: Sequence[str]) -> DataError:
    shown = '\n  - '.join(problems[:50])
    more = len(problems) - 50
    return DataError(
        f'{source}: wanted an export of label files as `tools/labels.py '
        f'export` writes it; nothing was changed; export it anew, or restore '
        f'it from a copy. {len(problems)} problem'
        f'{"s" if len(problems) > 1 else ""}:\n  - {shown}'
        + (f'\n  - and {more} more' if more > 0 else '')
    )


def _record(line: str) -> Record:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise LineError(f'wanted a JSON object, got {error}') from error
    if not isinstance(record, dict):
        raise LineError(f'wanted a JSON object, got {type(record).__name__}')
    if record.get('record') not in ('file', 'request'):
        raise LineError(
            f"record: wanted 'file' or 'request', got {record.get('record')!r}"
        )
    return record


def _get(record: Record, key: str, *kinds: type) -> Any:
    """A value of a record, of one of these types; bool is no int."""
    if key not in record:
        raise LineError(f'{key}: missing')
    value = record[key]
    if type(value) not in kinds:
        wanted = ' or '.join(
            'null' if kind is type(None) else kind.__name__ for kind in kinds
        )
        raise LineError(f'{key}: wanted {wanted}, got {value!r}')
    return value


def _open(line: int, head: Record, number: int) -> _Open:
    """A record of a label file, checked.

    Raises:
        LineError: It is none.
    """
    if _get(head, 'format', int) != FORMAT:
        raise LineError(
            f'format: wanted {FORMAT}, got {head["format"]}; use the version '
            'of SegAL that wrote it'
        )
    if _get(head, 'round', int) != number:
        raise LineError(
            f'round: wanted {number}, the next, got {head["round"]}'
        )
    if _get(head, 'unit', str) not in ('pixel', 'image'):
        raise LineError(
            f"unit: wanted 'pixel' or 'image', got {head['unit']!r}"
        )
    if head.get('answer', 'all') not in ('all', 'dominant'):
        raise LineError(
            f"answer: wanted 'all' or 'dominant', got {head['answer']!r}"
        )
    for key in ('experiment', 'pool', 'previous', 'sha256', 'packed_images'):
        _get(head, key, str)
    _get(head, 'requests', int)
    _get(head, 'scores', bool)
    for name in _get(head, 'classes', list):
        if not isinstance(name, str):
            raise LineError(f'classes: wanted names, got {name!r}')
    sizes: dict[str, int] = {}
    for row in _get(head, 'images', list):
        sound = (
            isinstance(row, list)
            and [type(value) for value in row] == [str, int, int]
            and min(row[1:]) > 0
            and row[1] * row[2] < 2**31
        )
        if not sound:
            raise LineError(f'images: wanted [name, H, W], got {row!r}')
        sizes[row[0]] = len(sizes)
    try:
        packed = base64.b64decode(head['packed_images'], validate=True)
        images = unpack_images(packed)
    except (binascii.Error, ValueError) as error:
        raise LineError(f'packed_images: cannot be read ({error})') from error
    if [list(image) for image in images] != head['images']:
        raise LineError('packed_images: they are not those of images')
    if len(sizes) < len(images):
        raise LineError('images: wanted each once, got one twice')
    return _Open(line, head, sizes, np.zeros(len(images), np.int32))


def _file_of(record: Record, files: list[_Open], current: int) -> int:
    """Which label file a request belongs to."""
    number = _get(record, 'round', int)
    if not current <= number < len(files):
        raise LineError(
            f'round: wanted one of {current} to {len(files) - 1}, in order, '
            f'got {number}'
        )
    return number


def _take(record: Record, file: _Open) -> None:
    """Add a request to its file.

    Raises:
        LineError: It is none.
    """
    head, whole = file.head, file.head['unit'] == 'image'
    name = _get(record, 'image', str)
    at = file.images.get(name)
    if at is None:
        raise LineError(f'image: {name!r} is not among those of the file')
    if at < file.at:
        raise LineError(f'image: {name!r} comes too late, or twice')
    word = _get(record, 'status', str)
    if word not in _NUMBER:
        raise LineError(f'status: wanted one of {list(_NUMBER)}, got {word!r}')
    status = _NUMBER[word]
    empty = type(None)
    score = _get(record, 'score', int, float, str, empty)
    if (score is None) == head['scores']:
        wanted = 'a number' if head['scores'] else 'null, as its file says'
        raise LineError(f'score: wanted {wanted}, got {score!r}')
    bits = None if score is None else _bits(score)
    found = _get(record, 'class', int, empty)
    labelled = status == LABELLED and not whole
    if labelled != (found is not None) or not 0 <= (found or 0) < NO_CLASS:
        wanted = 'a class id of 0 to 254' if labelled else 'null'
        raise LineError(f'class: wanted {wanted}, got {found!r}')
    title = _get(record, 'class_name', str, empty)
    if title != class_title(found, head['classes']):
        raise LineError(
            f'class_name: wanted {class_title(found, head["classes"])!r} for '
            f'class {found}, got {title!r}'
        )
    if whole:
        if any(_get(record, key, int, empty) is not None
               for key in ('row', 'column')):  # fmt: skip
            raise LineError('row, column: wanted null for a whole image')
        if at != len(file.maps):
            raise LineError(f'image: {name!r} comes too early, or twice')
        _take_whole(record, file, status)
    else:
        _, height, width = head['images'][at]
        row, column = (_get(record, key, int) for key in ('row', 'column'))
        if not (0 <= row < height and 0 <= column < width):
            raise LineError(
                f'row, column: wanted a place in {height} x {width}, got '
                f'({row}, {column})'
            )
        if head.get('regions'):
            region = _get(record, 'region', int)
            if not 0 <= region < 2**31:
                raise LineError(f'region: wanted 0 or more, got {region}')
            file.regions.append(region)
        file.places.append(row * width + column)
        file.classes.append(NO_CLASS if found is None else found)
        file.lengths[at] += 1
    file.at = at
    file.status.append(status)
    if bits is not None:
        file.scores.append(bits)


def _take_whole(record: Record, file: _Open, status: int) -> None:
    """The label map of a whole image.

    Raises:
        LineError: It has none, though it was answered, or the other way.
    """
    pixels = _get(record, 'pixels', dict)
    shares = [_get(pixels, word, int) for word in _NUMBER]
    if not all(0 <= share < 2**31 for share in shares):
        raise LineError(f'pixels: wanted counts, got {pixels!r}')
    path, digest = (
        _get(record, key, str, type(None)) for key in ('map', 'sha256')
    )
    if status == REFUSED:
        if path is not None or digest is not None:
            raise LineError('map, sha256: wanted null where refused')
        file.maps.append(None)
    else:
        name = (path or '').rpartition('/')[2]
        if path is None or digest is None:
            raise LineError('map, sha256: wanted a label map, got null')
        if not re.fullmatch(r'\d+\.png', name, re.ASCII) or path != map_path(
            file.head['round'], name
        ):
            raise LineError(
                f'map: wanted {map_path(file.head["round"], name)!r}, got '
                f'{path!r}'
            )
        file.maps.append((name, digest))
    file.shares.append(shares)


def _close(file: _Open, before: ExportedFile | None) -> ExportedFile:
    """The label file that all its requests make.

    Raises:
        LineError: It is not the one that was exported.
    """
    head = file.head
    first, last = (
        (file.lines[0], file.lines[-1])
        if file.lines
        else (file.line, file.line)
    )
    if len(file.status) != head['requests']:
        raise LineError(
            f'line {file.line}: requests: wanted {head["requests"]} lines of '
            f'round {head["round"]}, got {len(file.status)}'
        )
    for key, wanted in (
        ('previous', before.sha256 if before else ''),
        ('experiment', before and before.content.experiment),
        ('pool', before and before.content.pool),
    ):
        if wanted is not None and head[key] != wanted:
            raise LineError(
                f'line {file.line}: {key}: wanted {wanted!r}, got '
                f'{head[key]!r}'
            )
    whole = head['unit'] == 'image'
    content = LabelFile(
        **{
            key: head[key]
            for key in ('round', 'unit', 'experiment', 'pool', 'previous')
        },
        images=[
            (name, height, width) for name, height, width in head['images']
        ],
        offsets=np.concatenate([[0], np.cumsum(file.lengths)]).astype(
            np.int32
        ),
        places=np.array(file.places, np.int32),
        classes=np.array(file.classes, np.uint8),
        status=np.array(file.status, np.uint8),
        scores=np.array(file.scores, np.uint32).view(np.float32),
        maps=file.maps,
        shares=np.array(file.shares, np.int32).reshape(-1, 3),
        regions=np.array(file.regions, np.int32),
        answer=head.get('answer', 'all'),
    )
    if whole and len(file.maps) != len(content.images):
        raise LineError(
            f'line {file.line}: wanted a request for each of '
            f'{len(content.images)} whole images, got {len(file.maps)}'
        )
    data = encode(content, base64.b64decode(head['packed_images']))
    if sha256(data) != head['sha256']:
        raise LineError(
            f'lines {first} to {last}: with line {file.line} they do not '
            f'make the file of round {head["round"]} that has the SHA-256 of '
            'that line; one of them was altered'
        )
    maps = {}
    for named, line in zip(file.maps, file.lines, strict=False):
        if named is not None:
            maps[named[0]] = (map_path(content.round, named[0]), line)
    return ExportedFile(content, data, sha256(data), maps, (first, last))


def _bits(value: float | str) -> int:
    """The bits of a float32 as the records hold it.

    Raises:
        LineError: It wrote no such thing.
    """
    if isinstance(value, str):
        if re.fullmatch('0x[0-9a-f]{8}', value):
            return int(value, 16)
        raise LineError(f'score: wanted a number, got {value!r}')
    with np.errstate(over='ignore'):
        score = np.float32(value)
    if not math.isfinite(score) or float(score) != value:
        raise LineError(f'score: wanted a float32, got {value!r}')
    return int(score.view(np.uint32))
