"""The pictures of a round: overlay, side by side, and contact sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from segal.structures import REFUSED, VOID
from segal.visualization import drawing
from segal.visualization.drawing import INK, PAPER, Colour
from segal.visualization.marks import (
    Marks,
    as_areas,
    draw_marks,
    mark,
    mark_radius,
    outline,
)

Entries = list[tuple[Image.Image, str]]

_CAPTION = 34
_GAP = 14
_NEW_FRAME: Colour = (255, 196, 0)
_GROUND: Colour = (84, 88, 96)
_RING: Colour = (64, 224, 255)
_MOST_CLASSES = 40


@dataclass(frozen=True)
class Scene:
    """One image of the pool, and all that is known of it.

    Attributes:
        name: The image's name.
        image: uint8 (H, W, 3), RGB.
        marks: The places that were asked; empty for a whole image.
        classes: Names of the C classes.
        palette: uint8 (C, 3), RGB.
        when: What the picture shows, such as ``'after round 3'``.
        label_map: uint8 (H, W), where the whole image was labelled; any id
            from C on is void.
        new: Whether ``label_map`` was bought in the round that is shown.
        newly: What the legend calls a new mark.
    """

    name: str
    image: NDArray[np.uint8]
    marks: Marks
    classes: Sequence[str]
    palette: NDArray[np.uint8]
    when: str = ''
    label_map: NDArray[np.uint8] | None = None
    new: bool = False
    newly: str = 'new'

    @property
    def summary(self) -> str:
        """One line that says when, and how much is labelled."""
        if self.label_map is not None:
            void = float((self.label_map >= len(self.classes)).mean())
            since = 'newly labelled' if self.new else 'labelled earlier'
            words = [f'whole image {since}', f'{void:.1%} void']
        elif not len(self.marks):
            words = ['nothing labelled']
        else:
            new = int(self.marks.new.sum())
            words = [f'{len(self.marks) - new} asked earlier', f'{new} new']
            for status, name in ((VOID, 'void'), (REFUSED, 'refused')):
                count = int((self.marks.status == status).sum())
                if count:
                    words.append(f'{count} {name}')
        return '  ·  '.join([self.when] * bool(self.when) + words)

    def counts(self) -> dict[int, int]:
        """Class id -> labels of it, in pixels."""
        if self.label_map is None:
            return self.marks.class_counts()
        found = np.bincount(self.label_map.ravel(), minlength=256)
        found[len(self.classes) :] = 0
        return {int(i): int(found[i]) for i in np.flatnonzero(found)}


def overlay(scene: Scene) -> Image.Image:
    """The image with what was asked of it drawn upon it."""
    size = scene.image.shape[0], scene.image.shape[1]
    scale = drawing.overlay_scale(size)
    picture = _labels_on(scene, scale, clear=True)
    areas = as_areas(picture.size, scene.marks, scale)
    entries = _legend(scene, areas)
    return drawing.framed(picture, scene.name, scene.summary, entries)


def panel(
    scene: Scene,
    prediction: NDArray[np.uint8],
    score: NDArray[np.float32],
    caption: str = 'bought labels',
) -> Image.Image:
    """Image, bought labels, prediction and score map, side by side.

    Args:
        scene: The image and its labels.
        prediction: uint8 (H, W), class ids.
        score: float32 (H, W), higher = label first.
        caption: Of the labels, or of whatever the marks stand for; where it
            is empty, they are left out.
    """
    height, width = scene.image.shape[:2]
    columns = 2 if width >= 1.5 * height else 4
    if not caption:
        columns = 3
    target = {2: 900, 3: 640, 4: 480}[columns]
    scale = drawing.display_scale((height, width), target)
    colours, low, high = drawing.score_colours(score)
    scores = drawing.resized(colours, scale, smooth=True)
    chosen = scene.marks.new
    areas = as_areas(scores.size, scene.marks, scale)
    if chosen.any() and areas:
        outline(scores, scene.marks.places[chosen], (height, width), _RING)
    elif chosen.any():
        _ring(scores, scene.marks.places[chosen], width, scale)
    classes = drawing.coloured(prediction, scene.palette)
    tiles = [
        ('image', drawing.resized(scene.image, scale, smooth=True)),
        *[(caption, _labels_on(scene, scale, clear=False))] * bool(caption),
        ('prediction', drawing.resized(classes, scale, smooth=False)),
        ('score (bright = label first)', scores),
    ]
    bar = drawing.score_bar(scores.height, low, high)
    sheet = _grid(tiles, columns, right=bar)
    present = np.flatnonzero(np.bincount(prediction.ravel(), minlength=256))
    entries = _legend(scene, areas, also=present.tolist())
    return drawing.framed(sheet, scene.name, scene.summary, entries)


def contact_sheet(
    thumbnails: Sequence[tuple[str, NDArray[np.uint8], float | None]],
    title: str,
    subtitle: str,
) -> Image.Image:
    """The images a round chose, small, with their names and scores.

    Args:
        thumbnails: (name, uint8 (H, W, 3) RGB, score) in the order shown.
        title: Bold, above everything.
        subtitle: One line below it.
    """
    count = max(1, len(thumbnails))
    columns = int(np.clip(np.ceil(np.sqrt(1.25 * count)), 1, 10))
    cell = int(np.clip(1800 // columns, 150, 360))
    face, line = drawing.font(13), 19
    small = [_thumbnail(image, cell) for _, image, _ in thumbnails]
    tallest = max((picture.height for picture in small), default=1)
    step = tallest + 2 * line + _GAP
    rows = int(np.ceil(count / columns))
    sheet = Image.new(
        'RGB', (columns * (cell + _GAP) - _GAP, rows * step), PAPER
    )
    draw = ImageDraw.Draw(sheet)
    for i, (name, _, score) in enumerate(thumbnails):
        x, y = (i % columns) * (cell + _GAP), (i // columns) * step
        sheet.paste(small[i], (x + (cell - small[i].width) // 2, y))
        words = drawing.clipped(name, face, cell)
        draw.text((x, y + tallest + 4), words, INK, face, 'la')
        rank = f'#{i + 1}' + ('' if score is None else f'   {score:.4g}')
        at = x, y + tallest + 4 + line
        draw.text(at, rank, drawing.FAINT, face, 'la')
    return drawing.framed(sheet, title, subtitle, [])


def _thumbnail(image: NDArray[np.uint8], width: int) -> Image.Image:
    picture = Image.fromarray(np.ascontiguousarray(image))
    scale = width / max(image.shape[:2])
    size = (
        max(1, round(picture.width * scale)),
        max(1, round(picture.height * scale)),
    )
    way = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX
    return picture.resize(size, way)


def _faded(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """The image as dim grey ground, however dark or bright it was."""
    grey = pixels.mean(axis=2)
    low, high = np.percentile(drawing.thinned(grey), (2, 98))
    level = np.clip((grey - low) / max(high - low, 1), 0, 1)
    level = np.repeat(level[..., None], 3, axis=2)  # (H, W, 3)
    return 40 + 95 * level


def _labels_on(scene: Scene, scale: float, clear: bool) -> Image.Image:
    """Labels over the image: a ``clear`` one, or one faded behind them."""
    base = scene.image.astype(np.float32)
    if not clear:
        base = _faded(base)
    if scene.label_map is not None:
        tint = 0.6 if clear else 1.0
        known = (scene.label_map < len(scene.classes))[..., None]
        colours = drawing.coloured(scene.label_map, scene.palette)
        base = np.where(known, (1 - tint) * base + tint * colours, base / 3)
    picture = drawing.resized(base.astype(np.uint8), scale, smooth=clear)
    if scene.label_map is not None and scene.new:
        edge = max(3, max(picture.size) // 160)
        box = (0, 0, picture.width - 1, picture.height - 1)
        ImageDraw.Draw(picture).rectangle(box, None, _NEW_FRAME, edge)
    radius = mark_radius(picture.size, len(scene.marks))
    draw_marks(
        picture,
        scene.marks,
        scene.image.shape[:2],
        scale,
        scene.palette,
        radius,
    )
    return picture


def _ring(
    picture: Image.Image,
    places: NDArray[np.int64],
    width: int,
    scale: float,
) -> None:
    """Show which places of a score map were chosen."""
    draw = ImageDraw.Draw(picture)
    radius = 0.8 * mark_radius(picture.size, len(places))
    rows, columns = np.divmod(places, width)
    for row, column in zip(rows, columns, strict=True):
        y, x = (row + 0.5) * scale, (column + 0.5) * scale
        for reach, colour in ((radius + 1, drawing.BLACK), (radius, _RING)):
            box = (x - reach, y - reach, x + reach, y + reach)
            draw.ellipse(box, None, colour, 2)


def _grid(
    tiles: Sequence[tuple[str, Image.Image]],
    columns: int,
    right: Image.Image,
) -> Image.Image:
    """Captioned tiles of one size; ``right`` stands beside the last."""
    width, height = tiles[0][1].size
    rows = int(np.ceil(len(tiles) / columns))
    step = width + _GAP, height + _CAPTION
    canvas = Image.new(
        'RGB',
        (columns * step[0] - _GAP + right.width, rows * step[1] + _GAP // 2),
        PAPER,
    )
    draw, face = ImageDraw.Draw(canvas), drawing.font(18)
    for i, (caption, tile) in enumerate(tiles):
        x, y = (i % columns) * step[0], (i // columns) * step[1]
        draw.text((x, y + _CAPTION - 8), caption, INK, face, 'ls')
        canvas.paste(tile, (x, y + _CAPTION))
    canvas.paste(right, (canvas.width - right.width, y + _CAPTION))
    return canvas


def _legend(scene: Scene, areas: bool, also: Sequence[int] = ()) -> Entries:
    """Classes that occur, with their labels, and what the marks mean.

    Args:
        scene: What is drawn.
        areas: Whether what was asked is painted as areas.
        also: Classes that are drawn without labels.
    """
    counts: Mapping[int, int] = scene.counts()
    entries: Entries = []
    ids = sorted({*counts, *also} & set(range(len(scene.classes))))
    for i in ids[:_MOST_CLASSES]:
        count = f' ({counts[i]:,})' if i in counts else ''
        square = drawing.swatch(drawing.class_colour(scene.palette, i))
        entries.append((square, scene.classes[i] + count))
    if len(ids) > _MOST_CLASSES:
        rest = f'and {len(ids) - _MOST_CLASSES} more classes'
        entries.append((Image.new('RGB', (1, 1), PAPER), rest))
    if scene.label_map is not None:
        if (scene.label_map >= len(scene.classes)).any():
            entries.append((drawing.swatch(drawing.BLACK), 'void'))
        if scene.new:
            entries.append((drawing.swatch(_NEW_FRAME), 'newly labelled'))
    if areas:
        rimmed = Image.new('RGB', (22, 22), _GROUND)
        rimmed.paste(drawing.WHITE, (3, 3, 19, 19))
        rimmed.paste(drawing.FAINT, (6, 6, 16, 16))
        entries.append((rimmed, scene.newly))
        if (scene.marks.status == VOID).any():
            entries.append((drawing.swatch(drawing.BLACK), 'void'))
        return entries
    kinds = {
        (int(status), bool(new))
        for status, new in zip(
            scene.marks.status, scene.marks.new, strict=True
        )
    }
    words = {VOID: ' void', REFUSED: ' refused'}
    for status, new in sorted(kinds, key=lambda kind: (kind[0], not kind[1])):
        stamp, mask = mark(status, new, drawing.FAINT, 11.0)
        square = Image.new('RGB', stamp.size, _GROUND)
        square.paste(stamp, (0, 0), mask)
        what = (scene.newly if new else 'earlier') + words.get(status, '')
        entries.append((square, what))
    return entries
