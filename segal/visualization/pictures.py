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
from segal.visualization.drawing import FAINT, WHITE, Entry
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
_WRONG = (232, 62, 48)
_MOST_CLASSES = 40

_SIDES = {1: 640, 2: 640, 3: 512}
_WIDE = {1: 900, 2: 900, 3: 640}
"""Longer side of a tile in so many columns: 4 to 3, and wider images."""


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
        truth: uint8 (H, W), the ground truth where it is known; any id from
            C on is void.
        words: Stand in place of how much is labelled.
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
    truth: NDArray[np.uint8] | None = None
    words: Sequence[str] | None = None

    @property
    def summary(self) -> str:
        """Say in one line when this is, and how much is labelled."""
        words = self.words
        if words is None:
            words = self.amount(' asked earlier')
        return '  ·  '.join([self.when] * bool(self.when) + [*words])

    def amount(self, earlier: str = ' old') -> list[str]:
        """Say how much is labelled; ``earlier`` names marks that are old."""
        if self.label_map is not None:
            void = float((self.label_map >= len(self.classes)).mean())
            since = 'newly labelled' if self.new else 'labelled earlier'
            return [f'whole image {since}', f'{void:.1%} void']
        if not len(self.marks):
            return ['nothing labelled']
        new = int(self.marks.new.sum())
        old = len(self.marks) - new
        words = [f'{old}{earlier if new else " asked"}'] * bool(old)
        words += [f'{new} new'] * bool(new)
        for status, name in ((VOID, 'void'), (REFUSED, 'refused')):
            count = int((self.marks.status == status).sum())
            if count:
                words.append(f'{count} {name}')
        return words

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
    picture = labels_on(scene, scale, clear=True)
    entries = legend_of(scene, as_areas(picture.size, scene.marks, scale))
    return drawing.framed(picture, scene.name, scene.summary, entries)


def panel(
    scene: Scene,
    prediction: NDArray[np.uint8],
    score: NDArray[np.float32],
    caption: str = 'bought labels',
) -> Image.Image:
    """Draw image, bought labels, prediction and score map side by side.

    Where the ground truth is known, it stands below the labels, beside the
    prediction and what is wrong in it.

    The ``prediction`` is uint8 (H, W), the ``score`` float32 (H, W). The
    ``caption`` is that of the labels, which are left out if it is empty.
    """
    height, width = scene.image.shape[:2]
    shown = 2 + bool(caption) + (1 if scene.truth is None else 3)
    columns = _columns(shown, width / height)
    sides = _SIDES if width < 1.5 * height else _WIDE
    side = sides.get(columns, 480)
    scale = drawing.display_scale((height, width), side)
    low, high, scores = _score_picture(scene, score, scale)
    classes = drawing.coloured(prediction, scene.palette)
    predicted = drawing.resized(classes, scale, smooth=False), ['prediction']
    tiles = [(drawing.resized(scene.image, scale, smooth=True), ['image'])]
    if caption:
        tiles.append((labels_on(scene, scale), [caption]))
    scored = scores, ['score (bright = label first)']
    tiles += [scored] if scene.truth is not None else [predicted, scored]
    if scene.truth is not None:
        known = drawing.coloured(scene.truth, scene.palette)
        truth = drawing.resized(known, scale, smooth=False), ['ground truth']
        wrong, share = errors_on(scene, prediction, scale)
        tiles += [truth, predicted, (wrong, [error_words(share)])]
    size = drawing.text_size(columns * scores.width)
    bar = drawing.score_bar(scores.height, low, high, score.max(), size)
    row = tiles.index(scored) // columns
    sheet = drawing.grid(tiles, columns, size, bar, row)
    areas = as_areas(scores.size, scene.marks, scale)
    entries = legend_of(scene, areas, [prediction, scene.truth])
    return drawing.framed(sheet, scene.name, scene.summary, entries)


def _columns(count: int, ratio: float) -> int:
    """Choose the columns of ``count`` tiles of one width to height."""
    if ratio < 0.6:
        return count
    return {4: 2, 5: 2}.get(count, 3)


def _score_picture(
    scene: Scene, score: NDArray[np.float32], scale: float
) -> tuple[float, float, Image.Image]:
    """Draw a score map, and rings where it was asked; return its ends."""
    size = scene.image.shape[0], scene.image.shape[1]
    colours, low, high = drawing.score_colours(score)
    picture = drawing.resized(colours, scale, smooth=True)
    chosen = scene.marks.places[scene.marks.new]
    if as_areas(picture.size, scene.marks, scale):
        outline(picture, chosen, size, _RING)
    else:
        stamp = ring(_RING, 0.8 * mark_radius(picture.size, len(chosen)))
        for at in chosen.tolist():
            place(picture, stamp, at, size[1], scale)
    return low, high, picture


def errors_on(
    scene: Scene, prediction: NDArray[np.uint8], scale: float
) -> tuple[Image.Image, float | None]:
    """Draw what a prediction (H, W) gets wrong, in red on the faded image.

    Void is tinted. Returns the share of wrong pixels, too; None where all of
    the ground truth is void.
    """
    assert scene.truth is not None
    known = scene.truth < len(scene.classes)
    wrong = known & (prediction != scene.truth)
    base = faded(scene.image)
    base[~known] = drawing.as_void(base[~known], scene.palette)
    red = np.array([3 * part // 4 for part in _WRONG], np.uint8)
    base[wrong] = base[wrong] // 4 + red
    share = float(wrong.sum() / known.sum()) if known.any() else None
    return drawing.resized(base, scale, smooth=False), share


def error_words(share: float | None) -> str:
    """Caption a picture of errors."""
    return 'errors' if share is None else f'errors: {100 * share:.1f} %'


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


def faded(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn an image into dim grey ground, however dark or bright it was."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    low, high = np.percentile(drawing.thinned(grey), (2, 98))
    levels = np.clip((np.arange(256) - low) / max(high - low, 1), 0, 1)
    table = (40 + 95 * levels).astype(np.uint8)
    return np.repeat(table[grey][..., None], 3, axis=2)  # (H, W, 3)


def labels_on(scene: Scene, scale: float, clear: bool = False) -> Image.Image:
    """Draw labels over a ``clear`` image, or over a faded one."""
    base = scene.image if clear else faded(scene.image)
    if scene.label_map is not None:
        tint = 0.6 if clear else 1.0
        known = (scene.label_map < len(scene.classes))[..., None]
        colours = drawing.coloured(scene.label_map, scene.palette)
        mixed = cv2.addWeighted(base, 1 - tint, colours, tint, 0)
        void = drawing.as_void(base, scene.palette)
        base = np.where(known, mixed, void)
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


def legend_of(
    scene: Scene,
    areas: bool,
    maps: Sequence[NDArray[np.uint8] | None] = (),
    earlier: Sequence[Scene] = (),
) -> list[Entry]:
    """List the classes of labels and class maps, and the kinds of marks.

    Args:
        scene: What is drawn; its labels are counted.
        areas: Whether marks are painted as areas.
        maps: Class ids (H, W) that are drawn beside the labels.
        earlier: The image in earlier rounds, whose marks are drawn, too.
    """
    counts = scene.counts()
    shown = [one.marks for one in (scene, *earlier)]
    colours = drawing.class_colours(scene.palette)
    also = [i for one in maps if one is not None for i in np.unique(one)]
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
    void = drawing.swatch(drawing.void_colour(scene.palette))
    if maps and scene.truth is not None:
        entries.append((drawing.swatch(_WRONG), 'wrong'))
        if (scene.truth >= len(scene.classes)).any():
            entries.append((void, 'void in ground truth'))
    if scene.label_map is not None:
        if (scene.label_map >= len(scene.classes)).any():
            entries.append((void, 'void'))
        if scene.new:
            entries.append((drawing.swatch(_NEW_FRAME), 'newly labelled'))
    if areas:
        inner = drawing.swatch(FAINT, WHITE, 16, border=3)
        rimmed = ImageOps.expand(inner, 3, _GROUND)
        entries.append((rimmed, scene.newly))
        void_too = any((m.status == VOID).any() for m in shown)
        return entries + [(void, 'void')] * void_too
    words = {VOID: ' void', REFUSED: ' refused'}
    kinds = {
        kind
        for m in shown
        for kind in zip(m.status.tolist(), m.new.tolist(), strict=True)
    }
    for status, new in sorted(kinds, key=lambda kind: (kind[0], not kind[1])):
        stamp, mask = mark(status, new, FAINT, 11.0)
        square = Image.new('RGB', stamp.size, _GROUND)
        square.paste(stamp, (0, 0), mask)
        what = (scene.newly if new else 'earlier') + words.get(status, '')
        entries.append((square, what))
    return entries
