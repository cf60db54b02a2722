"""Draw the pictures of a round: overlay, panel and contact sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps

from segal.structures import REFUSED, VOID
from segal.visualization import drawing
from segal.visualization.drawing import BLACK, FAINT, WHITE, Entry
from segal.visualization.marks import (
    Marks,
    as_areas,
    draw_marks,
    mark,
    mark_radius,
    outline,
    place,
    ring,
)

_NEW_FRAME = (255, 196, 0)
_GROUND = (84, 88, 96)
_RING = (64, 224, 255)
_MOST_CLASSES = 40


@dataclass(frozen=True)
class Scene:
    """One image of the pool with its labels.

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
        """Say in one line when this is, and how much is labelled."""
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
        """Count the labelled pixels of each class: class id -> pixels."""
        if self.label_map is None:
            return self.marks.class_counts()
        found = np.bincount(self.label_map.ravel(), minlength=256)
        found[len(self.classes) :] = 0
        return {int(i): int(found[i]) for i in np.flatnonzero(found)}


def overlay(scene: Scene) -> Image.Image:
    """Draw an image with what was asked of it."""
    scale = drawing.overlay_scale((scene.image.shape[0], scene.image.shape[1]))
    picture = _labels_on(scene, scale, clear=True)
    entries = _legend(scene, as_areas(picture.size, scene.marks, scale))
    return drawing.framed(picture, scene.name, scene.summary, entries)


def panel(
    scene: Scene,
    prediction: NDArray[np.uint8],
    score: NDArray[np.float32],
    caption: str = 'bought labels',
) -> Image.Image:
    """Draw image, bought labels, prediction and score map side by side.

    The ``prediction`` is uint8 (H, W), the ``score`` float32 (H, W). The
    ``caption`` is that of the labels, which are left out if it is empty.
    """
    size = height, width = scene.image.shape[0], scene.image.shape[1]
    columns = 3 if not caption else 2 if width >= 1.5 * height else 4
    scale = drawing.display_scale(size, {2: 900, 3: 640, 4: 480}[columns])
    colours, low, high = drawing.score_colours(score)
    scores = drawing.resized(colours, scale, smooth=True)
    chosen = scene.marks.places[scene.marks.new]
    areas = as_areas(scores.size, scene.marks, scale)
    if areas:
        outline(scores, chosen, size, _RING)
    else:
        stamp = ring(_RING, 0.8 * mark_radius(scores.size, len(chosen)))
        for at in chosen.tolist():
            place(scores, stamp, at, width, scale)
    classes = drawing.coloured(prediction, scene.palette)
    tiles = [(drawing.resized(scene.image, scale, smooth=True), ['image'])]
    if caption:
        tiles.append((_labels_on(scene, scale, clear=False), [caption]))
    tiles += [
        (drawing.resized(classes, scale, smooth=False), ['prediction']),
        (scores, ['score (bright = label first)']),
    ]
    bar = drawing.score_bar(scores.height, low, high)
    sheet = drawing.grid(tiles, columns, right=bar)
    entries = _legend(scene, areas, also=np.unique(prediction).tolist())
    return drawing.framed(sheet, scene.name, scene.summary, entries)


def contact_sheet(
    thumbnails: Sequence[tuple[str, NDArray[np.uint8], float | None]],
    title: str,
    subtitle: str,
) -> Image.Image:
    """Draw the images that a round chose, small, with names and scores.

    The ``thumbnails`` are (name, uint8 (H, W, 3) RGB, score).
    """
    columns = int(np.clip(np.ceil(np.sqrt(1.25 * len(thumbnails))), 1, 10))
    side = int(np.clip(1800 // columns, 150, 360))
    tiles = []
    for i, (name, image, score) in enumerate(thumbnails, start=1):
        small = drawing.resized(image, side / max(image.shape), smooth=True)
        rank = f'#{i}' + ('' if score is None else f'   {score:.4g}')
        tiles.append((small, [name, rank]))
    sheet = drawing.grid(tiles, columns, size=13)
    return drawing.framed(sheet, title, subtitle, [])


def _faded(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn an image into dim grey ground, however dark or bright it was."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    low, high = np.percentile(drawing.thinned(grey), (2, 98))
    levels = np.clip((np.arange(256) - low) / max(high - low, 1), 0, 1)
    table = (40 + 95 * levels).astype(np.uint8)
    return np.repeat(table[grey][..., None], 3, axis=2)  # (H, W, 3)


def _labels_on(scene: Scene, scale: float, clear: bool) -> Image.Image:
    """Draw labels over a ``clear`` image, or over a faded one."""
    base = scene.image if clear else _faded(scene.image)
    if scene.label_map is not None:
        tint = 0.6 if clear else 1.0
        known = (scene.label_map < len(scene.classes))[..., None]
        colours = drawing.coloured(scene.label_map, scene.palette)
        mixed = cv2.addWeighted(base, 1 - tint, colours, tint, 0)
        base = np.where(known, mixed, base // 3)
    picture = drawing.resized(base, scale, smooth=clear)
    if scene.label_map is not None and scene.new:
        edge = max(3, max(picture.size) // 160)
        box = (0, 0, picture.width - 1, picture.height - 1)
        ImageDraw.Draw(picture).rectangle(box, None, _NEW_FRAME, edge)
    draw_marks(
        picture,
        scene.marks,
        scene.image.shape[:2],
        scale,
        scene.palette,
        mark_radius(picture.size, len(scene.marks)),
    )
    return picture


def _legend(
    scene: Scene, areas: bool, also: Sequence[int] = ()
) -> list[Entry]:
    """List the classes, those ``also`` drawn too, and the kinds of marks."""
    counts, marks = scene.counts(), scene.marks
    colours = drawing.class_colours(scene.palette)
    ids = sorted({*counts, *also} & set(range(len(scene.classes))))
    entries = [
        (
            drawing.swatch(tuple(colours[i])),
            scene.classes[i] + (f' ({counts[i]:,})' if i in counts else ''),
        )
        for i in ids[:_MOST_CLASSES]
    ]
    if len(ids) > _MOST_CLASSES:
        rest = f'and {len(ids) - _MOST_CLASSES} more classes'
        entries.append((drawing.swatch(WHITE, WHITE), rest))
    void = drawing.swatch(BLACK), 'void'
    if scene.label_map is not None:
        if (scene.label_map >= len(scene.classes)).any():
            entries.append(void)
        if scene.new:
            entries.append((drawing.swatch(_NEW_FRAME), 'newly labelled'))
    if areas:
        inner = drawing.swatch(FAINT, WHITE, 16, border=3)
        rimmed = ImageOps.expand(inner, 3, _GROUND)
        entries.append((rimmed, scene.newly))
        return entries + [void] * bool((marks.status == VOID).any())
    words = {VOID: ' void', REFUSED: ' refused'}
    kinds = {*zip(marks.status.tolist(), marks.new.tolist(), strict=True)}
    for status, new in sorted(kinds, key=lambda kind: (kind[0], not kind[1])):
        stamp, mask = mark(status, new, FAINT, 11.0)
        square = Image.new('RGB', stamp.size, _GROUND)
        square.paste(stamp, (0, 0), mask)
        what = (scene.newly if new else 'earlier') + words.get(status, '')
        entries.append((square, what))
    return entries
