"""Exchange as COCO: ``images``, ``annotations``, ``categories``.

Every shape is a mask in uncompressed RLE, column by column, a pixel a mask of
one pixel. Its category is the answer. Compressed RLE is read, too; polygons
are not, for they do not keep pixels.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segal.annotation.formats.asked import Asked, Returned
from segal.annotation.formats.files import broken, only_request, read_json
from segal.annotation.formats.labels import (
    OPEN,
    label_codes,
    picture_names,
    write_pictures,
)
from segal.annotation.formats.runs import from_runs, from_string, to_runs
from segal.annotation.formats.shapes import (
    Shape,
    collect,
    exported,
    items_from,
)
from segal.files import replace_file

_AGAIN = 'export it again as COCO, with masks as RLE'


def write(asked: Asked, out: Path) -> None:
    """Write ``images/`` and ``annotations.json``."""
    request = asked.request
    images = write_pictures(asked, out / 'images')
    names, codes = picture_names(request), label_codes(asked.classes)
    ids = {code: number for number, code in enumerate(codes.values(), 1)}
    content = dict(
        info=dict(
            description=f'round {request.round}',
            segal_request=request.sha256,
        ),
        images=[
            dict(id=k + 1, file_name=names[k], height=h, width=w)
            for k in images
            for _, h, w in [request.content.images[k]]
        ],
        annotations=[]
        if request.unit == 'image'
        else [
            _annotation(asked, image + 1, ids[OPEN], *one)
            for image, items in images.items()
            for one in exported(asked, items)
        ],
        categories=[
            dict(id=ids[code], name=name, supercategory='')
            for name, code in codes.items()
        ],
    )
    replace_file(out / 'annotations.json', json.dumps(content) + '\n')


def _annotation(
    asked: Asked,
    image: int,
    category: int,
    item: int,
    mask: NDArray[np.bool_],
    box: tuple[int, int, int, int],
) -> dict[str, Any]:
    top, left, height, width = box
    rows, columns = asked.request.content.images[image - 1][1:]
    right, down = np.nonzero(mask.T)
    runs = to_runs((right + left) * rows + down + top, rows * columns)
    return dict(
        id=item + 1,
        image_id=image,
        category_id=category,
        segmentation=dict(size=[rows, columns], counts=runs),
        area=int(mask.sum()),
        bbox=[left, top, width, height],
        iscrowd=1,
        attributes=dict(segal_item=item, segal_request=asked.request.sha256),
    )


def read(path: Path, asked: Asked) -> Returned:
    """Read COCO annotations.

    Raises:
        AnswerFileError: It is damaged or was edited.
    """
    content = read_json(path)
    info = content.get('info')
    rows = [info] if isinstance(info, dict) else []
    rows += map(_attributes, _rows(path, content, 'annotations'))
    place = 'info and attributes, segal_request'
    request = only_request(path, place, (x.get('segal_request') for x in rows))
    if request != asked.request.sha256:
        return Returned(request, [], [])
    return collect(path, asked, _shapes(path, asked, content))


def _attributes(annotation: dict[str, Any]) -> dict[str, Any]:
    found = annotation.get('attributes')
    return found if isinstance(found, dict) else annotation


def _rows(path: Path, content: dict[str, Any], key: str) -> list[Any]:
    rows = content.get(key)
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) for row in rows
    ):
        raise broken(path, key, 'a list of objects', rows, _AGAIN)
    return rows


def _by_id(
    path: Path, content: dict[str, Any], key: str, name: str
) -> dict[int, str]:
    """Return the id of each row -> its name."""
    found: dict[int, str] = {}
    for number, row in enumerate(_rows(path, content, key)):
        one, text = row.get('id'), row.get(name)
        if type(one) is not int or one in found or not isinstance(text, str):
            raise broken(
                path,
                f'{key}[{number}]',
                f'an id of its own, and {name}',
                dict(id=one, **{name: text}),
                _AGAIN,
            )
        found[one] = text
    return found


def _shapes(
    path: Path, asked: Asked, content: dict[str, Any]
) -> Iterator[Shape]:
    names = {name: k for k, name in enumerate(picture_names(asked.request))}
    images = _by_id(path, content, 'images', 'file_name')
    categories = _by_id(path, content, 'categories', 'name')
    for number, row in enumerate(content['annotations']):
        place = f'annotations[{number}]'
        ids = row.get('image_id'), row.get('category_id')
        if not (
            all(type(one) is int for one in ids)
            and ids[0] in images
            and ids[1] in categories
        ):
            raise broken(
                path,
                place,
                'image_id and category_id of the file',
                ids,
                _AGAIN,
            )
        name = images[ids[0]].rpartition('/')[2]
        image = names.get(name)
        yield Shape(
            f'{place}, image {name[:80]!r}',
            image,
            categories[ids[1]],
            partial(_places, path, asked, image, place, row),
            items_from(path, place, _attributes(row).get('segal_item')),
        )


def _places(
    path: Path, asked: Asked, image: int | None, place: str, row: Any
) -> NDArray[np.int64]:
    """Decode the mask of an annotation."""
    assert image is not None
    _, height, width = asked.request.content.images[image]
    found = row.get('segmentation')
    if not isinstance(found, dict):
        raise broken(path, f'{place}, segmentation', 'RLE', found, _AGAIN)
    if found.get('size') != [height, width]:
        raise broken(
            path,
            f'{place}, size',
            f'[{height}, {width}]',
            found.get('size'),
            'use the pictures as exported',
        )
    counts = found.get('counts')
    try:
        if isinstance(counts, str):
            counts = from_string(counts)
        if not isinstance(counts, list):
            raise ValueError('neither a list nor text')
        inside = from_runs(counts, height * width)
    except ValueError as error:
        raise broken(
            path,
            f'{place}, counts',
            f'runs of {height * width} pixels, zeros first',
            f'others ({str(error)[:80]})',
            _AGAIN,
        ) from None
    columns, rows = np.divmod(inside, height)
    return np.sort(rows * width + columns)
