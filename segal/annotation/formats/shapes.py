"""Turn the labelled shapes of another tool into answers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from segal.annotation.formats.asked import Asked, Reply, Returned
from segal.annotation.formats.files import broken
from segal.annotation.formats.labels import (
    CANT_TELL,
    OPEN,
    VOID,
    label_codes,
    label_names,
    picture_names,
)
from segal.annotation.request import Request
from segal.errors import nearest

GROUND = -(10**7)
"""Layer of what is said of a whole image: below all that is painted."""

_WHAT = {VOID: 'void', CANT_TELL: 'cant_tell'}


class Shape(NamedTuple):
    """Pixels of one image that have one label.

    Attributes:
        place: Where in the file, in words.
        image: Position of the image in the request; None: it has none.
        label: Name.
        places: Decodes them: int64 (N,), sorted flat indices.
        item: Index of the item that it names; None: it names none.
        layer: The higher one covers the lower; of two, the later.
    """

    place: str
    image: int | None
    label: str
    places: Callable[[], NDArray[np.int64]]
    item: int | None = None
    layer: int = 0


def without_pixels(
    path: Path, asked: Asked, image: int | None, place: str, kind: str
) -> str:
    """Say that a shape is not taken.

    Raises:
        AnswerFileError: It lies where every pixel is painted: what is below
            it would be taken for what is there.
    """
    if asked.request.answer == 'mask' and image is not None:
        mend = 'make a mask of it, or delete it'
        raise broken(path, place, 'a mask', kind, mend)
    return f'{place}: {kind} holds no pixels; use masks'


def reply(
    request: Request,
    item: int,
    code: int,
    who: str = '',
    mask: NDArray[np.uint8] | None = None,
) -> Reply:
    """Make an answer, with a number that the same answer always has.

    Args:
        request: What it answers.
        item: Index.
        code: Class id, ``VOID`` or ``CANT_TELL``; what it is with a mask does
            not count.
        who: Name of the person.
        mask: uint8 (h, w), where the answer is one.
    """
    what = 'mask' if mask is not None else _WHAT.get(code, 'class')
    cls = code if what == 'class' else None
    told = f'{request.sha256} {item} {what} {cls} {who}'.encode()
    told += b'' if mask is None else mask.tobytes()
    client = hashlib.sha256(told).hexdigest()[:32]
    return Reply(item, what, cls, mask, who, None, client)


def collect(
    path: Path, asked: Asked, shapes: Iterable[Shape], who: str = ''
) -> Returned:
    """Read the answers of one person from labelled shapes.

    Where an item takes one class, the shape of the item tells it by its
    label. Where it takes a mask, all shapes of the image are painted.

    Args:
        path: Of the file, for errors.
        asked: What is asked.
        shapes: In the order in which they were drawn.
        who: Name of the person; '' where it is not known.

    Raises:
        AnswerFileError: An item was moved or answered twice, or a label is
            unknown.
    """
    if asked.request.answer == 'class':
        return _one_class_each(path, asked, shapes, who)
    return _painted(path, asked, shapes, who)


def _one_class_each(
    path: Path, asked: Asked, shapes: Iterable[Shape], who: str
) -> Returned:
    request, codes = asked.request, label_codes(asked.classes)
    images = images_of(request)
    at: dict[tuple[int, int], int] = {}
    found: dict[int, int] = {}
    alien = []
    for shape in shapes:
        item = shape.item
        if item is None:
            at = at or {
                (image, int(places_of(request, k)[0])): k
                for k, image in enumerate(images)
            }
            item = _item_at(request, at, shape)
        if item is None:
            alien.append(f'{shape.place}: it is not where an item is')
            continue
        _check_item(path, images, shape, item)
        if not _same(shape.places(), places_of(request, item)):
            raise broken(
                path,
                shape.place,
                f'item {item} where it was asked, {_around(request, item)}',
                'another shape or place',
                'move it back, or delete it: the item then stays open',
            )
        code = _code(path, codes, shape)
        if code != OPEN and found.setdefault(item, code) != code:
            raise broken(
                path,
                shape.place,
                f'one answer to item {item}',
                'a second one, which differs',
                'delete one of the two',
            )
    replies = [reply(request, item, code, who) for item, code in found.items()]
    return Returned(request.sha256, replies, alien)


def _painted(
    path: Path, asked: Asked, shapes: Iterable[Shape], who: str
) -> Returned:
    request, codes = asked.request, label_codes(asked.classes)
    images = images_of(request)
    found: dict[int, list[tuple[Shape, int]]] = {}
    alien = []
    for shape in shapes:
        if shape.item is not None:
            _check_item(path, images, shape, shape.item)
        if shape.image is None:
            alien.append(f'{shape.place}: its image was not asked')
            continue
        code = _code(path, codes, shape)
        if code != OPEN:
            found.setdefault(shape.image, []).append((shape, code))
    result = Returned(request.sha256, [], alien, [])
    items = items_of(request)
    names = picture_names(request)
    for image, painted in sorted(found.items()):
        _, height, width = request.content.images[image]
        canvas = np.full(height * width, OPEN, np.int16)
        for shape, code in sorted(painted, key=lambda one: one[0].layer):
            canvas[shape.places()] = code
        read_canvas(asked, names[image], canvas, items[image], who, result)
        canvas[:] = np.where(canvas == OPEN, OPEN, 1)
        for item in items[image]:
            canvas[places_of(request, item)] = OPEN
        outside = int(np.count_nonzero(canvas != OPEN))
        if outside:
            result.alien.append(
                f'{names[image]}: {outside:,} labelled pixels were not asked'
            )
    return result


def read_canvas(
    asked: Asked,
    name: str,
    canvas: NDArray[np.int16],
    items: Iterable[int],
    who: str,
    result: Returned,
) -> None:
    """Read the answers to the items of one image from its painted pixels.

    Args:
        asked: What is asked.
        name: Of the picture, for what is told.
        canvas: int16 (H * W,), codes of labels.
        items: Indices of the image's items.
        who: Name of the person.
        result: Gets the answers, and the items that are not finished.
    """
    request, names = asked.request, label_names(asked.classes)
    for item in items:
        places = places_of(request, item)
        values = canvas[places]
        known = np.unique(values).tolist()
        problem = ''
        if known == [OPEN]:
            continue
        if OPEN in known:
            count = int(np.count_nonzero(values == OPEN))
            problem = f'{count:,} of {len(places):,} pixels have no label'
        elif len(known) > 1 and request.answer == 'class':
            told = ', '.join(repr(names[code]) for code in known)
            problem = f'it takes one label, and has {told}'
        elif len(known) > 1 and CANT_TELL in known:
            problem = (
                f'{names[CANT_TELL]!r} can only be said of all of it; paint '
                f'a part {names[VOID]!r}'
            )
        if problem:
            result.unfinished.append(f'{name}, item {item}: {problem}')
        elif request.answer == 'class' or known in ([VOID], [CANT_TELL]):
            result.replies.append(reply(request, item, known[0], who))
        else:
            mask = np.full(request[item].box[2:], VOID, np.uint8)
            if request.unit == 'image':
                mask[:] = values.reshape(mask.shape)
            else:
                mask[request[item].inside] = values
            result.replies.append(reply(request, item, 0, who, mask))


def places_of(request: Request, item: int) -> NDArray[np.int64]:
    """Return the sorted places of an item, all of those of a whole image."""
    if request.unit == 'image':
        _, height, width = request.content.images[item]
        return np.arange(height * width)
    places = request.content.places[request.positions(item)]
    return places.astype(np.int64)


def images_of(request: Request) -> list[int]:
    """List the position of each item's image."""
    if request.unit == 'pixel':
        counts = np.diff(request.content.offsets)
        found: list[int] = np.repeat(np.arange(len(counts)), counts).tolist()
        return found
    return [request.image_of(item) for item in range(len(request))]


def items_of(request: Request) -> list[list[int]]:
    """List the items of each image of a request."""
    found: list[list[int]] = [[] for _ in request.content.images]
    for item, image in enumerate(images_of(request)):
        found[image].append(item)
    return found


def _same(one: NDArray[np.int64], other: NDArray[np.int64]) -> bool:
    """Compare places; np.array_equal takes long for a single pixel."""
    if len(one) == len(other) == 1:
        return int(one[0]) == int(other[0])
    return np.array_equal(one, other)


def items_from(path: Path, place: str, value: object) -> int | None:
    """Read the number of an item that a tool kept; None: it names none.

    Raises:
        AnswerFileError: It is no number.
    """
    text = str(value).strip()
    if value is None or not text:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise broken(
            path,
            place,
            'the number of an item in segal_item',
            repr(text[:40]),
            'put back what was exported, or leave it empty',
        )
    return int(text)


def _item_at(
    request: Request, at: dict[tuple[int, int], int], shape: Shape
) -> int | None:
    """Find the item that has just the places of a shape."""
    if shape.image is None:
        return None
    places = shape.places()
    item = at.get((shape.image, int(places[0]))) if len(places) else None
    if item is None or not _same(places, places_of(request, item)):
        return None
    return item


def _check_item(
    path: Path, images: list[int], shape: Shape, item: int
) -> None:
    """Check that an item that a shape names is one of its image."""
    if item >= len(images) or images[item] != shape.image:
        raise broken(
            path,
            shape.place,
            'an item of this image',
            f'item {item}',
            'put back its name and its number as exported, or delete it',
        )


def _code(path: Path, codes: dict[str, int], shape: Shape) -> int:
    """Return the code of a shape's label."""
    if shape.label not in codes:
        raise broken(
            path,
            shape.place,
            'a label of the experiment',
            repr(shape.label[:80]) + nearest(shape.label, codes),
            'give it one of these labels, or delete it',
        )
    return codes[shape.label]


def _around(request: Request, item: int) -> str:
    """Say where an item lies."""
    top, left, height, width = request[item].box
    where = f'row {top}, column {left}'
    return where if height * width == 1 else f'{where}, {height}x{width}'


def exported(
    asked: Asked, items: Iterable[int]
) -> Iterator[tuple[int, NDArray[np.bool_], tuple[int, int, int, int]]]:
    """Yield the shape of each item: index, bool (h, w) and its box."""
    for index in items:
        item = asked.request[index]
        mask = np.full(item.box[2:], item.kind == 'image')
        mask[item.inside] = True
        yield index, mask, item.box
