"""Exchange as label maps: a PNG of class ids for each image.

Where nothing is asked, a map holds 255, and is not read. Where something is
asked, 254 waits for an answer: a class id, 255 for void, 253 for can't tell.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segal.annotation.formats.asked import Asked, Returned
from segal.annotation.formats.files import broken, read_file, read_json
from segal.annotation.formats.labels import (
    CANT_TELL,
    OPEN,
    VOID,
    code_colours,
    label_names,
    picture_names,
    write_pictures,
)
from segal.annotation.formats.shapes import (
    items_of,
    places_of,
    read_canvas,
)
from segal.annotation.masks import is_whole
from segal.errors import StateError
from segal.files import replace_file, replace_json

_VALUES = {CANT_TELL: 253, OPEN: 254, VOID: 255}
_HEADER = 'segal.json'
_MEND = 'write it as an 8-bit PNG of class ids, grey or with a palette'


def write(asked: Asked, out: Path) -> None:
    """Write ``images/``, ``labels/`` and ``segal.json``.

    Raises:
        StateError: There are too many classes.
    """
    request = asked.request
    if len(asked.classes) > _VALUES[CANT_TELL]:
        raise StateError(
            f'classes: wanted at most {_VALUES[CANT_TELL]} for PNG files, got '
            f'{len(asked.classes)}; export for another tool'
        )
    images = write_pictures(asked, out / 'images')
    names = picture_names(request)
    (out / 'labels').mkdir()
    palette = _palette(asked)
    for image, items in images.items():
        _, height, width = request.content.images[image]
        values = np.full(height * width, 255, np.uint8)
        for item in items:
            values[places_of(request, item)] = _VALUES[OPEN]
        picture = Image.fromarray(values.reshape(height, width), 'P')
        picture.putpalette(palette.tobytes())
        data = io.BytesIO()
        picture.save(data, 'PNG')
        replace_file(out / 'labels' / names[image], data.getvalue())
    told = {
        str(_VALUES.get(code, code)): name
        for code, name in label_names(asked.classes).items()
    }
    replace_json(
        out / _HEADER,
        dict(
            format='segal-png',
            version=1,
            request=request.sha256,
            values=told,
            items=asked.items.tolist(),
        ),
    )


def _palette(asked: Asked) -> NDArray[np.uint8]:
    """Return the palette of exported label maps: uint8 (256, 3)."""
    palette = np.zeros((256, 3), np.uint8)
    for code, colour in code_colours(asked).items():
        palette[_VALUES.get(code, code)] = [*colour]
    return palette


def read(path: Path, asked: Asked) -> Returned:
    """Read the label maps of a folder, or of that of its ``segal.json``.

    Raises:
        AnswerFileError: A file is damaged, or of another size.
    """
    header = path / _HEADER if path.is_dir() else path
    content = read_json(header)
    sha = content.get('request') if isinstance(content, dict) else None
    if not isinstance(sha, str):
        raise broken(
            header,
            '"request"',
            "the request's SHA-256",
            sha,
            'put the file back as it was exported',
        )
    result = Returned(sha, [], [], [])
    if sha != asked.request.sha256:
        return result
    folder = header.parent / 'labels'
    exported = _exported(header, content, asked)
    items, names = items_of(asked.request), picture_names(asked.request)
    for image, name in enumerate(names):
        if (folder / name).exists():
            size = asked.request.content.images[image][1:]
            values = _values(folder / name, size, asked)
            own = [item for item in items[image] if item in exported]
            read_canvas(asked, name, values, own, '', result)
            for item in own:
                values[places_of(asked.request, item)] = VOID
            count = int(np.count_nonzero(values != VOID))
            if count:
                result.alien.append(
                    f'{name}: {count:,} pixels with a label were not asked'
                )
    if folder.is_dir():
        others = {one.name for one in folder.iterdir()} - {*names}
        result.alien.extend(f'{one}: no such picture' for one in others)
    return result


def _exported(header: Path, content: Any, asked: Asked) -> set[int]:
    """Return the items that were exported.

    The places of others hold 255, too, which is no answer there.
    """
    count = len(asked.request)
    items = content.get('items', [*range(count)])  # none in files of before
    if not isinstance(items, list) or not all(
        type(item) is int and 0 <= item < count for item in items
    ):
        raise broken(
            header,
            '"items"',
            'the numbers of the items that were exported',
            items,
            'put the file back as it was exported',
        )
    return {*items}


def _values(
    path: Path, size: tuple[int, int], asked: Asked
) -> NDArray[np.int16]:
    """Read the codes of a label map, int16 (H * W,)."""
    data = read_file(path)
    height, width = size
    try:
        if data[:16] != b'\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR':
            raise ValueError('no PNG file')
        columns, rows, depth, colour, *_, interlaced = struct.unpack(
            '>II5B', data[16:29]
        )
        if (rows, columns) != size:
            raise ValueError(f'{rows}x{columns} pixels')
        if (colour, depth) not in ((0, 8), *((3, x) for x in (1, 2, 4, 8))):
            raise ValueError('colours, or 16 bits')
        row = (width * depth + 7) // 8 + 1
        if interlaced or not is_whole(data, height * row):
            raise ValueError('an interlaced or a torn one')
        with Image.open(io.BytesIO(data), formats=['PNG']) as image:
            values = np.array(image).reshape(-1)
            colours = image.getpalette() or []
    except Exception as error:  # whatever a broken file makes of a decoder
        raise broken(
            path,
            'its content',
            f'a label map of {height}x{width} pixels',
            f'another file ({str(error)[:80]})',
            _MEND,
        ) from None
    classes = len(asked.classes)
    _check_palette(path, values, colours, asked)
    codes = np.full(256, -2, np.int16)
    codes[:classes] = range(classes)
    for code, value in _VALUES.items():
        codes[value] = code
    found = codes[values]
    if (found == -2).any():
        at = int(np.argmax(found == -2))
        raise broken(
            path,
            f'row {at // width}, column {at % width}',
            f'a class id from 0 to {classes - 1}, 253, 254 or 255',
            int(values[at]),
            _MEND,
        )
    return found


def _check_palette(
    path: Path, values: NDArray[np.uint8], colours: list[int], asked: Asked
) -> None:
    """Check that no value has the exported colour of another value.

    Programs sort palettes anew, which gives each label another value. Colours
    that were not exported tell nothing.
    """
    exported = {
        tuple(colour): _VALUES.get(code, code)
        for code, colour in code_colours(asked).items()
    }
    for value in np.unique(values).tolist():
        colour = tuple(colours[3 * value : 3 * value + 3])
        if value != exported.get(colour, value):
            raise broken(
                path,
                f'its palette, value {value}',
                'the values as they were exported, in which the colour '
                f'{colour} is {exported[colour]}',
                f'that colour at {value}',
                'write it without sorting or shrinking its palette, or as '
                'a grey PNG of class ids',
            )
