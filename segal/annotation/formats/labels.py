"""Name labels and pictures as other tools see them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from segal.annotation.crops import encode_png
from segal.annotation.formats.asked import Asked
from segal.annotation.request import Request
from segal.errors import StateError
from segal.files import replace_file
from segal.visualization.drawing import void_colour

OPEN, VOID, CANT_TELL = -1, 255, 256
"""Codes of the labels that are no classes; a class has its id."""

_STEP = 0x3D5A7F
"""From a colour that is taken to one that looks unlike; odd, to reach all."""

_NAMES = {VOID: 'void', CANT_TELL: "can't tell", OPEN: 'unanswered'}


def label_codes(classes: Sequence[str]) -> dict[str, int]:
    """Name the labels: the classes, void, can't tell and unanswered.

    A class that has one of the last three names keeps it; the label then
    ends with ``_``.

    Returns:
        Name -> class id, ``VOID``, ``CANT_TELL`` or ``OPEN``, in this order.

    Raises:
        StateError: Two classes have one name.
    """
    found = {name: number for number, name in enumerate(classes)}
    if len(found) < len(classes):
        raise StateError(
            'classes: wanted a name of its own for each class, got '
            f'{", ".join(map(repr, classes))}; other tools know them by name'
        )
    for code, word in _NAMES.items():
        while word in found:
            word += '_'
        found[word] = code
    return found


def label_names(classes: Sequence[str]) -> dict[int, str]:
    """Return the code of each label -> its name."""
    return {code: name for name, code in label_codes(classes).items()}


def code_colours(asked: Asked) -> dict[int, bytes]:
    """Return the code of each label -> RGB, which no other label has.

    Tools that paint by colour, or drop a colour that comes twice, could not
    tell such labels apart.
    """
    classes = asked.palette[: len(asked.classes)]
    wanted = dict(enumerate(map(tuple, classes.tolist())))
    wanted[VOID] = void_colour(classes)
    wanted |= {CANT_TELL: (96, 96, 96), OPEN: (255, 0, 255)}
    found: dict[int, bytes] = {}
    for code, colour in wanted.items():
        number = int.from_bytes(bytes(colour))
        while (rgb := number.to_bytes(3)) in found.values():
            number = (number + _STEP) % 2**24
        found[code] = rgb
    return found


def label_colours(asked: Asked) -> dict[str, str]:
    """Return the name of each label -> ``'#rrggbb'``."""
    colours = code_colours(asked)
    return {
        name: f'#{colours[code].hex()}'
        for name, code in label_codes(asked.classes).items()
    }


def picture_names(request: Request) -> list[str]:
    """Name the pictures of a request's images, in their order.

    The names are flat, unique, and made of letters that no tool changes.
    """
    return [
        f'{number:05d}_'
        + re.sub('[^0-9A-Za-z-]', '_', PurePosixPath(name).stem)[:80]
        + '.png'
        for number, (name, _, _) in enumerate(request.content.images)
    ]


def write_pictures(asked: Asked, folder: Path) -> dict[int, list[int]]:
    """Write the pictures in which something is asked.

    They are PNGs of what the page shows: 8-bit RGB, upright.

    Returns:
        Position of each image in the request -> its items.
    """
    folder.mkdir()
    images: dict[int, list[int]] = {}
    for item in asked.items.tolist():
        images.setdefault(asked.request.image_of(item), []).append(item)
    names = picture_names(asked.request)
    for image in sorted(images):
        picture = asked.picture(asked.request.content.images[image][0])
        replace_file(folder / names[image], encode_png(picture))
    return {image: images[image] for image in sorted(images)}
