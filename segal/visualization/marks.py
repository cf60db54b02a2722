"""How a place that was asked is marked on a picture."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from segal.structures import LABELLED, REFUSED, VOID
from segal.visualization.drawing import (
    BLACK,
    GREY,
    WHITE,
    Colour,
    class_colour,
)

_OVERSAMPLE = 4
_GLOW = 120
"""How much of the ground the rim of an older mark covers, of 255."""

_LEAST = 1.5
"""Radius of the smallest mark, in pixels of the picture."""

_PAINT = 200
"""How much of the ground an area covers, of 255."""

_MARKED_SHARE = 0.12
"""How much of a picture the marks may cover before they shrink."""


@dataclass(frozen=True)
class Marks:
    """What was asked of one image, place by place.

    Attributes:
        places: int64 (N,), flat indices into the image's (H, W).
        classes: uint8 (N,), meaningful where ``status`` is ``LABELLED``.
        status: uint8 (N,), ``LABELLED``, ``VOID`` or ``REFUSED``.
        new: bool (N,), True = asked in the round that is shown.
        areas: Whether they were asked as regions, and are painted as such.
    """

    places: NDArray[np.int64]
    classes: NDArray[np.uint8]
    status: NDArray[np.uint8]
    new: NDArray[np.bool_]
    areas: bool = False

    def __len__(self) -> int:
        return len(self.places)

    def class_counts(self) -> dict[int, int]:
        """Class id -> how many labels of it there are."""
        ids, counts = np.unique(
            self.classes[self.status == LABELLED], return_counts=True
        )
        return dict(zip(ids.tolist(), counts.tolist(), strict=True))


def mark_radius(size: tuple[int, int], marks: int) -> float:
    """Radius of a new mark: seen at a glance, smaller where there are many.

    Args:
        size: (width, height) of the picture, in pixels.
        marks: How many there are.
    """
    wanted = max(7.0, 0.0125 * max(size))
    return float(max(_LEAST, min(wanted, _room(size, marks))))


def as_areas(size: tuple[int, int], marks: Marks, scale: float) -> bool:
    """Whether marks are painted as areas: regions, or too many to tell apart.

    Args:
        size: (width, height) of the picture, in pixels.
        marks: What was asked.
        scale: From the image to the picture.
    """
    return marks.areas or _room(size, len(marks)) < max(_LEAST, 0.9 * scale)


def _room(size: tuple[int, int], marks: int) -> float:
    """Radius at which marks cover their share of a picture."""
    area = _MARKED_SHARE * size[0] * size[1]
    return float(np.sqrt(area / (np.pi * max(marks, 1))))


def draw_marks(
    picture: Image.Image,
    marks: Marks,
    size: tuple[int, int],
    scale: float,
    palette: NDArray[np.uint8],
    radius: float,
) -> None:
    """Draw every place that was asked onto a picture; new ones on top.

    Args:
        picture: The image at its display size; drawn upon.
        marks: What was asked.
        size: (H, W) of the image itself, in pixels.
        scale: From the image to the picture.
        palette: uint8 (C, 3), RGB.
        radius: Of a new mark, in pixels of the picture.
    """
    if as_areas(picture.size, marks, scale):
        paint(picture, marks, size, palette)
        return
    rows, columns = np.divmod(marks.places, size[1])
    across = (columns + 0.5) * scale
    down = (rows + 0.5) * scale
    for i in np.argsort(marks.new, kind='stable'):
        colour = class_colour(palette, int(marks.classes[i]))
        stamp, mask = mark(
            int(marks.status[i]), bool(marks.new[i]), colour, radius
        )
        half = stamp.width / 2
        corner = round(across[i] - half), round(down[i] - half)
        picture.paste(stamp, corner, mask)


def paint(
    picture: Image.Image,
    marks: Marks,
    size: tuple[int, int],
    palette: NDArray[np.uint8],
) -> None:
    """Paint what was asked as areas, the new ones with an outline.

    Args:
        picture: The image at its display size; painted upon.
        marks: What was asked.
        size: (H, W) of the image itself, in pixels.
        palette: uint8 (C, 3), RGB.
    """
    colours = np.zeros((size[0] * size[1], 3), np.uint8)
    cover = np.zeros(size[0] * size[1], np.uint8)
    labelled = marks.status == LABELLED
    classes, at = marks.classes[labelled], marks.places[labelled]
    for i in np.unique(classes).tolist():
        colours[at[classes == i]] = class_colour(palette, i)
    colours[marks.places[marks.status == REFUSED]] = GREY
    cover[marks.places] = _PAINT
    plain = Image.fromarray(colours.reshape(*size, 3))
    mask = Image.fromarray(cover.reshape(size))
    nearest = Image.Resampling.NEAREST
    picture.paste(
        plain.resize(picture.size, nearest),
        (0, 0),
        mask.resize(picture.size, nearest),
    )
    outline(picture, marks.places[marks.new], size, WHITE)


def outline(
    picture: Image.Image,
    places: NDArray[np.int64],
    size: tuple[int, int],
    colour: Colour,
) -> None:
    """Draw a line around areas.

    Args:
        picture: The image at its display size; drawn upon.
        places: int64 (N,), flat indices into the image's (H, W).
        size: (H, W) of the image itself, in pixels.
        colour: Of the line, which has a dark one within.
    """
    inside = np.zeros(size, np.uint8)
    inside.reshape(-1)[places] = 255
    mask = Image.fromarray(inside).resize(
        picture.size, Image.Resampling.NEAREST
    )
    for line, of in ((BLACK, 7), (colour, 5)):
        rim = ImageChops.subtract(mask, mask.filter(ImageFilter.MinFilter(of)))
        picture.paste(line, (0, 0), rim)


@lru_cache(maxsize=1024)
def mark(
    status: int, new: bool, colour: Colour, radius: float
) -> tuple[Image.Image, Image.Image]:
    """One mark: a disc, a cross where void, a ring where refused.

    A new one has a broad white rim; an older one is smaller, with a thin dark
    rim and a faint glow that parts it from dark ground.

    Args:
        status: ``LABELLED``, ``VOID`` or ``REFUSED``.
        new: Whether it was asked in the round that is shown.
        colour: Of its class.
        radius: Of a new one, in pixels.

    Returns:
        The mark, and what of it covers the ground (mode L).
    """
    reach = radius if new else 0.66 * radius
    side = 2 * int(np.ceil(reach)) + 3
    big = side * _OVERSAMPLE
    centre, outer = big / 2, reach * _OVERSAMPLE
    line = max(1.0, 0.16 * reach) * _OVERSAMPLE
    inner = outer - line - (0.22 * outer if new else 0)
    bright = WHITE if new else GREY
    stamp = Image.new('RGB', (big, big), BLACK)
    mask = Image.new('L', (big, big), 0)
    on_stamp, on_mask = ImageDraw.Draw(stamp), ImageDraw.Draw(mask)

    def disc(draw: ImageDraw.ImageDraw, r: float, fill: Colour | int) -> None:
        box = (centre - r, centre - r, centre + r, centre + r)
        draw.ellipse(box, fill=fill)

    def cross(draw: ImageDraw.ImageDraw, r: float, fill: Colour | int) -> None:
        arm, thick = 0.72 * outer, round(2 * r)
        for turn in (1, -1):
            ends = [
                (centre - arm, centre - turn * arm),
                (centre + arm, centre + turn * arm),
            ]
            draw.line(ends, fill=fill, width=thick)

    if status == VOID:
        cross(on_mask, 0.18 * outer + line, 255)
        cross(on_stamp, 0.18 * outer, bright)
    else:
        if new:
            disc(on_mask, outer, 255)
            disc(on_stamp, outer - line, WHITE)
        else:
            disc(on_stamp, outer + _OVERSAMPLE, WHITE)
            disc(on_stamp, outer, BLACK)
            disc(on_mask, outer + _OVERSAMPLE, _GLOW)
            disc(on_mask, outer, 255)
        disc(on_stamp, max(inner, 0.3 * outer), colour)
        if status == REFUSED:
            disc(on_stamp, outer - line, bright)
            disc(on_stamp, 0.42 * outer + line, BLACK)
            disc(on_mask, 0.42 * outer, 0)
    small = (side, side)
    return (
        stamp.resize(small, Image.Resampling.BOX),
        mask.resize(small, Image.Resampling.BOX),
    )
