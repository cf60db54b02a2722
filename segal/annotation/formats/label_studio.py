"""Exchange with Label Studio: tasks as JSON, and a labelling config.

A pixel is a key point at its centre, in per cent of the image, unrounded; a
region is a brush mask. Their label is the answer. Tasks bring them as
pre-annotations; Label Studio keeps the ids of these regions, which name the
items.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from segal.annotation.formats.asked import Asked, Returned
from segal.annotation.formats.files import broken, only_request, read_json
from segal.annotation.formats.labels import (
    CANT_TELL,
    OPEN,
    VOID,
    label_colours,
    label_names,
    picture_names,
    write_pictures,
)
from segal.annotation.formats.runs import pack, unpack
from segal.annotation.formats.shapes import (
    GROUND,
    Shape,
    collect,
    exported,
    items_from,
    without_pixels,
)
from segal.files import replace_file

_ID = 'segal-'
_LABELS = {'keypointlabels': 'KeyPointLabels', 'brushlabels': 'BrushLabels'}
_AGAIN = 'export it again as JSON'
LONGEST_SECONDS = 10**7


def write(asked: Asked, out: Path) -> None:
    """Write ``images/``, ``config.xml`` and ``tasks.json``."""
    request = asked.request
    images = write_pictures(asked, out / 'images')
    names = picture_names(request)
    tasks = []
    for image, items in images.items():
        data = dict(
            image=f'/data/local-files/?d={out.name}/images/{names[image]}',
            segal_image=names[image],
            segal_request=request.sha256,
        )
        task: dict[str, Any] = dict(data=data)
        if request.unit != 'image':
            shown = [_region(asked, *one) for one in exported(asked, items)]
            task['predictions'] = [dict(model_version='asked', result=shown)]
        tasks.append(task)
    replace_file(out / 'tasks.json', json.dumps(tasks) + '\n')
    replace_file(out / 'config.xml', _config(asked))


def _config(asked: Asked) -> str:
    kind = 'keypointlabels' if _is_pixel(asked) else 'brushlabels'
    labels = ''.join(
        f'    <Label value={quoteattr(name)} background="{colour}"/>\n'
        for name, colour in label_colours(asked).items()
    )
    whole = ''
    if asked.request.unit == 'image':
        names = label_names(asked.classes)
        whole = (
            '  <Choices name="whole" toName="image">\n'
            f'    <Choice value={quoteattr(names[VOID])}/>\n'
            f'    <Choice value={quoteattr(names[CANT_TELL])}/>\n'
            '  </Choices>\n'
        )
    return (
        '<View>\n'
        '  <Image name="image" value="$image" zoom="true"/>\n'
        f'  <{_LABELS[kind]} name="label" toName="image">\n{labels}'
        f'  </{_LABELS[kind]}>\n{whole}</View>\n'
    )


def _is_pixel(asked: Asked) -> bool:
    return asked.request.unit == 'pixel'


def _region(
    asked: Asked,
    item: int,
    mask: NDArray[np.bool_],
    box: tuple[int, int, int, int],
) -> dict[str, Any]:
    request = asked.request
    _, height, width = request.content.images[request.image_of(item)]
    top, left = box[:2]
    kind = 'keypointlabels' if _is_pixel(asked) else 'brushlabels'
    value: dict[str, Any] = {kind: [label_names(asked.classes)[OPEN]]}
    if _is_pixel(asked):
        value['x'] = (left + 0.5) * 100 / width
        value['y'] = (top + 0.5) * 100 / height
        value['width'] = 50 / width
    else:
        whole = np.zeros((height, width), bool)
        whole[top : top + box[2], left : left + box[3]] = mask
        value.update(format='rle', rle=pack(whole))
    return dict(
        id=f'{_ID}{item}',
        type=kind,
        from_name='label',
        to_name='image',
        original_width=width,
        original_height=height,
        image_rotation=0,
        value=value,
    )


def read(path: Path, asked: Asked) -> Returned:
    """Read an export in JSON (not JSON-MIN).

    Raises:
        AnswerFileError: It is damaged or was edited.
    """
    tasks = read_json(path)
    if not isinstance(tasks, list):
        raise broken(path, 'its content', 'a list of tasks', tasks, _AGAIN)
    for number, task in enumerate(tasks):
        if not isinstance(task, dict) or not isinstance(
            task.get('data'), dict
        ):
            raise broken(path, f'[{number}]', 'a task with data', task, _AGAIN)
    named = (task['data'].get('segal_request') or 'none' for task in tasks)
    request = only_request(path, 'data, segal_request', named)
    result = Returned(request, [], [], [])
    if request != asked.request.sha256:
        return result
    images = {name: k for k, name in enumerate(picture_names(asked.request))}
    annotations = list(_annotations(path, tasks))
    people = {_who(annotation) for _, _, annotation in annotations}
    for place, picture, annotation in annotations:
        if annotation.get('was_cancelled'):
            continue
        who = _who(annotation)
        if isinstance(who, int):
            who = f'label-studio-{who}' if len(people) > 1 else ''
        image, rows = images.get(picture), annotation['result']
        shapes = _shapes(path, asked, image, place, rows, result.alien)
        found = collect(path, asked, shapes, who)
        ms = _milliseconds(path, place, annotation, len(found.replies))
        result.replies.extend(one._replace(ms=ms) for one in found.replies)
        result.alien.extend(found.alien)
        result.unfinished.extend(found.unfinished)
    return result


def _annotations(
    path: Path, tasks: list[Any]
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield each annotation: where in the file, picture, and itself."""
    for number, task in enumerate(tasks):
        rows = task.get('annotations', [])
        for k, row in enumerate(rows if isinstance(rows, list) else [rows]):
            place = f'[{number}].annotations[{k}]'
            if not isinstance(row, dict) or not isinstance(
                row.get('result'), list
            ):
                raise broken(path, place, 'a list "result"', row, _AGAIN)
            yield place, str(task['data'].get('segal_image')), row


def _who(annotation: dict[str, Any]) -> str | int:
    """Return who made an annotation; '' where nothing says it."""
    who = annotation.get('completed_by')
    if isinstance(who, dict):
        who = who.get('email') or who.get('id')
    return who if isinstance(who, str | int) else ''


def _milliseconds(
    path: Path, place: str, annotation: dict[str, Any], replies: int
) -> int | None:
    """Share the time of an annotation among its answers."""
    seconds = annotation.get('lead_time')
    if seconds is None or not replies:
        return None
    if (
        type(seconds) not in (int, float)
        or not 0 <= seconds <= LONGEST_SECONDS
    ):
        raise broken(
            path,
            f'{place}, lead_time',
            f'seconds from 0 to {LONGEST_SECONDS}',
            seconds,
            _AGAIN,
        )
    return round(1000 * seconds / replies)


def _shapes(
    path: Path,
    asked: Asked,
    image: int | None,
    place: str,
    rows: list[Any],
    alien: list[str],
) -> Iterator[Shape]:
    """Yield the labelled regions; all else is told in ``alien``."""
    for number, row in enumerate(rows):
        where = f'{place}.result[{number}]'
        kind = row.get('type') if isinstance(row, dict) else None
        if kind not in (*_LABELS, 'choices'):
            kind = str(kind)[:40]
            painted = image if kind.endswith('labels') else None
            alien.append(without_pixels(path, asked, painted, where, kind))
            continue
        value = row.get('value')
        labels = value.get(kind) if isinstance(value, dict) else value
        if not isinstance(labels, list) or len(labels) != 1:
            raise broken(
                path,
                f'{where}, {kind}',
                'one label',
                labels,
                'give it one label, or delete it',
            )
        item = None
        name = str(row.get('id', ''))
        if name.startswith(_ID):
            item = items_from(path, f'{where}, id', name.removeprefix(_ID))
        places = partial(_places, path, asked, image, where, row)
        layer = GROUND if kind == 'choices' else 0
        yield Shape(where, image, str(labels[0]), places, item, layer)


def _places(
    path: Path, asked: Asked, image: int | None, place: str, row: Any
) -> NDArray[np.int64]:
    assert image is not None
    size = asked.request.content.images[image][1:]
    return region_places(path, size, place, row)


def region_places(
    path: Path, size: tuple[int, int], place: str, row: Any
) -> NDArray[np.int64]:
    """Return the places of a region, sorted.

    Args:
        path: Of the file, for errors.
        size: (H, W) of the image.
        place: Where in the file.
        row: Of a ``result``.

    Raises:
        AnswerFileError: They are not within the image.
    """
    height, width = size
    kind, value = row['type'], row['value']
    if kind == 'choices':
        return np.arange(height * width)
    found = [row.get(f'original_{key}') for key in ('height', 'width')]
    if found != [height, width] or row.get('image_rotation', 0) != 0:
        raise broken(
            path,
            place,
            f'original_height {height}, original_width {width}, not turned',
            [*found, row.get('image_rotation')],
            'use the pictures as exported, and do not turn them',
        )
    if kind == 'keypointlabels':
        x, y = value.get('x'), value.get('y')
        if not all(
            type(one) in (int, float) and 0 <= one < 100 for one in (x, y)
        ):
            raise broken(
                path,
                place,
                'x and y from 0 to 100 per cent',
                [x, y],
                'move it back, or delete it: the item then stays open',
            )
        top = min(int(y * height / 100), height - 1)
        left = min(int(x * width / 100), width - 1)
        return np.array([top * width + left])
    try:
        if value.get('format') != 'rle' or not isinstance(
            value.get('rle'), list
        ):
            raise ValueError('no RLE')
        mask = unpack(value['rle'], (height, width))
    except ValueError as error:
        raise broken(
            path,
            f'{place}, rle',
            f'a packed mask of {height}x{width} pixels',
            f'another one ({str(error)[:80]})',
            _AGAIN,
        ) from None
    return np.flatnonzero(mask)
