"""Exchange with CVAT: "CVAT for images 1.1", masks as runs.

``annotations.xml`` is what CVAT itself exports and imports. A pixel is a
``<points>`` at its centre, a region a ``<mask>``; their label is the answer,
and the attribute ``segal_item`` says to which item. Every label has these
attributes, so that they stay when the label changes; ``segal_request`` gets
its value from the label's default.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from numpy.typing import NDArray

from segal.annotation.formats.asked import Asked, Returned
from segal.annotation.formats.cvat_xml import (
    AGAIN,
    NAME,
    Element,
    Image,
    parse,
)
from segal.annotation.formats.files import broken, only_request
from segal.annotation.formats.labels import (
    OPEN,
    label_colours,
    label_names,
    picture_names,
    write_pictures,
)
from segal.annotation.formats.runs import from_runs, to_runs
from segal.annotation.formats.shapes import (
    GROUND,
    Shape,
    collect,
    exported,
    items_from,
    without_pixels,
)
from segal.files import replace_file


def write(asked: Asked, out: Path) -> None:
    """Write ``images/``, ``labels.json`` and ``annotations.xml``."""
    request = asked.request
    images = write_pictures(asked, out / 'images')
    labels = [
        dict(name=name, color=colour, type='any', attributes=attributes)
        for attributes in [_attributes(request.sha256)]
        for name, colour in label_colours(asked).items()
    ]
    replace_file(out / 'labels.json', json.dumps(labels, indent=1) + '\n')
    lines = ['<?xml version="1.0" encoding="utf-8"?>', '<annotations>']
    lines += ['<version>1.1</version>', *_meta(asked, labels, len(images))]
    names = picture_names(request)
    for number, (image, items) in enumerate(images.items()):
        _, height, width = request.content.images[image]
        lines.append(
            f'<image id="{number}" name="{names[image]}" width="{width}" '
            f'height="{height}">'
        )
        if request.unit != 'image':
            lines += _shapes(asked, items)
        lines.append('</image>')
    lines.append('</annotations>\n')
    replace_file(out / NAME, '\n'.join(lines))


def _attributes(digest: str) -> list[dict[str, Any]]:
    return [
        dict(
            name=name,
            mutable=False,
            input_type='text',
            default_value=value,
            values=[value],
        )
        for name, value in (('segal_item', ''), ('segal_request', digest))
    ]


def _meta(
    asked: Asked, labels: list[dict[str, Any]], images: int
) -> Iterator[str]:
    yield '<meta><task>'
    yield f'<name>round {asked.request.round}</name><size>{images}</size>'
    yield '<mode>annotation</mode><labels>'
    for label in labels:
        yield f'<label><name>{escape(label["name"])}</name>'
        yield f'<color>{label["color"]}</color><type>any</type><attributes>'
        for one in label['attributes']:
            value = one['default_value']
            yield (
                f'<attribute><name>{one["name"]}</name><mutable>False'
                '</mutable><input_type>text</input_type><default_value>'
                f'{value}</default_value><values>{value}</values></attribute>'
            )
        yield '</attributes></label>'
    yield '</labels></task></meta>'


def _shapes(asked: Asked, items: list[int]) -> Iterator[str]:
    label = quoteattr(label_names(asked.classes)[OPEN])
    for item, mask, (top, left, height, width) in exported(asked, items):
        if asked.request.unit == 'pixel':
            kind = 'points'
            where = f'points="{left + 0.5:.2f},{top + 0.5:.2f}"'
        else:
            kind = 'mask'
            counts = to_runs(np.flatnonzero(mask), mask.size)
            runs = ', '.join(map(str, counts))
            where = (
                f'rle="{runs}" left="{left}" top="{top}" width="{width}" '
                f'height="{height}"'
            )
        yield (
            f'<{kind} label={label} source="manual" occluded="0" {where} '
            f'z_order="0"><attribute name="segal_item">{item}</attribute>'
            f'<attribute name="segal_request">{asked.request.sha256}'
            f'</attribute></{kind}>'
        )


def read(path: Path, asked: Asked) -> Returned:
    """Read ``annotations.xml``, or a zip archive with it.

    Raises:
        AnswerFileError: It is damaged, has a DOCTYPE, or was edited.
    """
    images, elements = parse(path)
    named = (one.attributes.get('segal_request') for one in elements)
    request = only_request(path, 'its attributes, segal_request', named)
    if request != asked.request.sha256:
        return Returned(request, [], [])
    names = {name: k for k, name in enumerate(picture_names(asked.request))}
    _check_images(path, asked, names, images)
    shapes: list[Shape] = []
    alien = []
    for element in elements:
        image = names.get(element.image)
        if element.tag not in ('points', 'mask', 'tag'):
            alien.append(
                without_pixels(path, asked, image, element.place, element.tag)
            )
            continue
        shapes.append(
            Shape(
                element.place,
                image,
                element.values.get('label', ''),
                partial(_places, path, asked, image, element),
                items_from(
                    path, element.place, element.attributes.get('segal_item')
                ),
                GROUND
                if element.tag == 'tag'
                else _integer(path, element, 'z_order', -(10**6), 10**6, '0'),
            )
        )
    result = collect(path, asked, shapes)
    return result._replace(alien=[*alien, *result.alien])


def _check_images(
    path: Path, asked: Asked, names: dict[str, int], images: list[Image]
) -> None:
    seen = set()
    for place, name, found in images:
        if name in seen:
            raise broken(
                path, place, 'each image once', f'{name!r} again', AGAIN
            )
        seen.add(name)
        if name in names:
            size = asked.request.content.images[names[name]][1:]
            if found != tuple(map(str, size)):
                raise broken(
                    path,
                    f'{place}, image {name!r}',
                    f'height and width {size}',
                    found,
                    'use the pictures as exported',
                )


def _places(
    path: Path, asked: Asked, image: int | None, element: Element
) -> NDArray[np.int64]:
    """Return the places of a shape."""
    if image is None:
        return np.empty(0, np.int64)
    _, height, width = asked.request.content.images[image]
    if element.tag == 'points':
        return point_place(path, element, height, width)
    if element.tag == 'mask':
        return _mask(path, element, height, width)
    return np.arange(height * width)


def point_place(
    path: Path, element: Element, height: int, width: int
) -> NDArray[np.int64]:
    """Return the place of a point, int64 (1,).

    Raises:
        AnswerFileError: It is none within the image.
    """
    text = element.values.get('points', '')
    try:
        x, y = map(float, text.split(','))
        if not (0 <= x < width and 0 <= y < height):
            raise ValueError
    except ValueError:
        raise broken(
            path,
            element.place,
            f'one point within {width}x{height} pixels (x, y)',
            repr(text[:60]),
            'move it back, or delete it: the item then stays open',
        ) from None
    return np.array([int(y) * width + int(x)])


def _mask(
    path: Path, element: Element, rows: int, columns: int
) -> NDArray[np.int64]:
    left = _integer(path, element, 'left', 0, columns)
    top = _integer(path, element, 'top', 0, rows)
    width = _integer(path, element, 'width', 0, columns - left)
    height = _integer(path, element, 'height', 0, rows - top)
    try:
        runs = [int(one) for one in element.values.get('rle', '').split(',')]
        inside = from_runs(runs, width * height)
    except ValueError as error:
        raise broken(
            path,
            f'{element.place}, rle',
            f'lengths of runs of {width}x{height} pixels, zeros first',
            f'others ({str(error)[:80]})',
            AGAIN,
        ) from None
    down, right = np.divmod(inside, max(width, 1))
    return (down + top) * columns + right + left


def _integer(
    path: Path,
    element: Element,
    key: str,
    least: int,
    most: int,
    default: str = '',
) -> int:
    text = element.values.get(key, default)
    if not re.fullmatch('-?[0-9]{1,9}', text) or not (
        least <= int(text) <= most
    ):
        raise broken(
            path,
            f'{element.place}, {key}',
            f'a whole number from {least} to {most}',
            repr(text[:40]),
            AGAIN,
        )
    return int(text)
