"""Draw a sheet of answers that may be wrong: crops with answer and model."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from segal.active.label_store.pool_file import PoolFile
from segal.annotation.crops import crop_box
from segal.annotation.folder import AnnotationFolder
from segal.annotation.label_errors import Suspect
from segal.annotation.request import Item
from segal.files import replace_file
from segal.visualization.drawing import (
    BLACK,
    INK,
    PAPER,
    WHITE,
    clipped,
    display_scale,
    font,
    framed,
    grid,
    resized,
    swatch,
)
from segal.visualization.marks import outline

SIDE = 260
"""Pixels of the longer side of a crop, about."""

COLUMNS = 4
LINE = 22

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
body {{ font: 16px/1.4 system-ui, sans-serif; margin: 1.5rem; color: #191c21;
 background: #fff }}
ol {{ display: flex; flex-wrap: wrap; gap: 1rem; padding: 0;
 list-style: none }}
figure {{ margin: 0 }}
img {{ image-rendering: pixelated; display: block }}
figcaption {{ max-width: {side}px; overflow-wrap: anywhere }}
i {{ display: inline-block; width: .9em; height: .9em;
 border: 1px solid #666 }}
small {{ color: #565b63 }}
</style>
<h1>{title}</h1>
<p>{words}</p>
<ol>
{figures}</ol>
</html>
"""


def write_sheet(
    path: Path,
    folder: AnnotationFolder,
    pool: PoolFile,
    suspects: Sequence[Suspect],
    title: str,
    words: str,
) -> None:
    """Write a sheet of answers that may be wrong.

    Args:
        path: Of the sheet; an HTML page, or a PNG where it ends with that.
        folder: Of the work_dir.
        pool: Images, classes and colours.
        suspects: In their order.
        title: Of the sheet.
        words: A line below the title.

    Raises:
        DataError: An image cannot be read.
        StateError: The sheet cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = _drawn(folder, pool, suspects)
    if path.suffix.lower() != '.png':
        figures = ''.join(
            _figure(rank, one, picture, pool)
            for rank, (one, picture) in enumerate(drawn, 1)
        )
        title, words = html.escape(title), html.escape(words)
        replace_file(
            path,
            _PAGE.format(title=title, words=words, figures=figures, side=SIDE),
        )
        return
    tiles = [
        (
            _captioned(one, picture, pool),
            [*_where(rank, one), one.image],
        )
        for rank, (one, picture) in enumerate(drawn, 1)
    ]
    sheet = framed(grid(tiles, COLUMNS, 15), title, words, [])
    buffer = io.BytesIO()
    sheet.save(buffer, 'PNG')
    replace_file(path, buffer.getvalue())


def _drawn(
    folder: AnnotationFolder, pool: PoolFile, suspects: Sequence[Suspect]
) -> Iterator[tuple[Suspect, Image.Image]]:
    """Draw the crop of each; an image and a request are read once in a row."""
    requests = {one.round: folder.request(one.round) for one in suspects}
    order = sorted(
        range(len(suspects)), key=lambda index: suspects[index].image
    )
    pictures: dict[int, Image.Image] = {}
    name, image = '', np.empty((0, 0, 3), np.uint8)
    for index in order:
        one = suspects[index]
        if one.image != name:
            name, image = one.image, pool.read(one.image)
        item = requests[one.round][one.item]
        top, left, height, width = crop_box(item)
        crop = image[top : top + height, left : left + width]
        pictures[index] = draw_crop(crop, item)
    for index, one in enumerate(suspects):
        yield one, pictures[index]


def draw_crop(crop: np.ndarray, item: Item) -> Image.Image:
    """Enlarge a crop, and mark its item: a cross, or an outline.

    Args:
        crop: uint8 (h, w, 3), RGB, the image in ``crop_box(item)``.
        item: A pixel or a region.
    """
    top, left, height, width = crop_box(item)
    scale = display_scale((height, width), SIDE)
    picture = resized(crop, scale, smooth=True)
    rows, columns = np.divmod(item.places, item.size[1])
    if item.kind != 'pixel':
        inside = (rows - top) * width + columns - left
        outline(picture, inside, (height, width), WHITE)
        return picture
    draw = ImageDraw.Draw(picture)
    y, x = (
        (int(at) - first + 0.5) * scale
        for at, first in ((rows[0], top), (columns[0], left))
    )
    near, far = 0.5 * scale + 3, 0.5 * scale + 14  # the pixel stays uncovered
    for colour, breadth in ((BLACK, 5), (WHITE, 3)):
        for side in (-1, 1):
            draw.line([x + side * near, y, x + side * far, y], colour, breadth)
            draw.line([x, y + side * near, x, y + side * far], colour, breadth)
    return picture


def _where(rank: int, one: Suspect) -> list[str]:
    return [
        f'{rank}. round {one.round}, item {one.item}',
        f'row {one.row}, column {one.column}',
    ]


def _said(one: Suspect, pool: PoolFile) -> list[tuple[str, int, str]]:
    """Return who says what: a word, the class, and its probability."""
    return [
        ('answer', one.answer, f'{one.answer_prob:.2f}'),
        ('model', one.model, f'{one.model_prob:.2f}'),
    ]


def _captioned(
    one: Suspect, picture: Image.Image, pool: PoolFile
) -> Image.Image:
    """Write answer and model's class below a crop, each with its colour."""
    face = font(15)
    canvas = Image.new('RGB', (SIDE + 4, picture.height + 2 * LINE + 4), PAPER)
    canvas.paste(picture, (0, 0))
    draw = ImageDraw.Draw(canvas)
    for line, (word, cls, prob) in enumerate(_said(one, pool)):
        y = picture.height + 4 + line * LINE
        square = swatch(tuple(pool.palette[cls].tolist()), side=16)
        canvas.paste(square, (0, y + 2))
        text = clipped(f'{word}: {pool.classes[cls]} {prob}', face, SIDE - 22)
        draw.text((22, y + LINE / 2 - 1), text, INK, face, anchor='lm')
    return canvas


def _figure(
    rank: int, one: Suspect, picture: Image.Image, pool: PoolFile
) -> str:
    """Write a crop and its words as HTML."""
    buffer = io.BytesIO()
    picture.save(buffer, 'PNG')
    data = base64.b64encode(buffer.getvalue()).decode()
    said = ''.join(
        f'<br><i style="background: rgb({", ".join(map(str, colour))})"></i> '
        f'{word}: <b>{html.escape(pool.classes[cls])}</b> {prob}'
        for word, cls, prob in _said(one, pool)
        for colour in [pool.palette[cls].tolist()]
    )
    where = ', '.join(_where(rank, one))
    image = html.escape(one.image)
    words = f'{where}: answered {pool.classes[one.answer]}'
    return (
        f'<li><figure><img src="data:image/png;base64,{data}" '
        f'width="{picture.width}" height="{picture.height}" '
        f'alt="{html.escape(words)}"><figcaption>{where}<br>'
        f'<small>{image}</small>{said}</figcaption></figure></li>\n'
    )
