"""Draw what was asked of an image: marks, areas and outlines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segal.structures import LABELLED, REFUSED, VOID
from segal.visualization.drawing import (
    BLACK,
    GREY,
    WHITE,
    Colour,
    class_colours,
    nearest,
    void_colour,
)

Stamp = tuple[Image.Image, Image.Image]
"""A small picture to paste, and which part of the ground it covers (L)."""

_HALO = 0.47
"""Opacity of the halo around an older mark."""

_LEAST = 1.5
"""Radius of the smallest mark, in pixels of the picture."""

_PAINT = 200
"""Opacity of a painted area, of 255."""

_MARKED_SHARE = 0.12
"""Share of a picture that marks may cover before they shrink."""


@dataclass(frozen=True)
class Marks:
    """All that was asked of one image.

    Attributes:
        places: int64 (N,), flat indices into the image's (H, W).
        classes: uint8 (N,), meaningful where ``status`` is ``LABELLED``.
        status: uint8 (N,), ``LABELLED``, ``VOID`` or ``REFUSED``.
        new: bool (N,), True = asked in the round that is shown.
        areas: Whether regions were asked; they are painted as areas.
    """

    places: NDArray[np.int64]
    classes: NDArray[np.uint8]
    status: NDArray[np.uint8]
    new: NDArray[np.bool_]
    areas: bool = False

    def __len__(self) -> int:
        return len(self.places)

    def class_counts(self) -> dict[int, int]:
        """Count the labels of each class: class id -> labels."""
        ids, counts = np.unique(
            self.classes[self.status == LABELLED], return_counts=True
        )
        return dict(zip(ids.tolist(), counts.tolist(), strict=True))


def mark_radius(size: tuple[int, int], marks: int) -> float:
    """Choose the radius of a new mark, in pixels; many marks are smaller."""
    wanted = max(7.0, 0.016 * max(size))
    return float(max(_LEAST, min(wanted, _room(size, marks))))


def as_areas(size: tuple[int, int], marks: Marks, scale: float) -> bool:
    """Decide whether to paint areas: for regions, or very many places."""
    return marks.areas or _room(size, len(marks)) < max(_LEAST, 0.9 * scale)


def _room(size: tuple[int, int], marks: int) -> float:
    """Return the radius at which marks cover ``_MARKED_SHARE``."""
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

    The image of ``size`` (H, W) is shown at ``scale``; ``radius`` is that of a
    new mark, in pixels of the picture.
    """
    colours = class_colours(palette)[marks.classes]  # (N, 3)
    if as_areas(picture.size, marks, scale):
        colours[marks.status == VOID] = void_colour(palette)
        colours[marks.status == REFUSED] = GREY
        _paint(picture, marks.places, colours, size)
        outline(picture, marks.places[marks.new], size, WHITE)
        return
    for i in np.argsort(marks.new, kind='stable'):
        stamp = mark(
            int(marks.status[i]),
            bool(marks.new[i]),
            tuple(colours[i].tolist()),
            radius,
        )
        place(picture, stamp, int(marks.places[i]), size[1], scale)


def place(
    picture: Image.Image, stamp: Stamp, at: int, width: int, scale: float
) -> None:
    """Paste a stamp at one pixel of an image that is shown at ``scale``.

    The flat index ``at`` is that of the pixel, in rows of ``width``.
    """
    row, column = divmod(at, width)
    half = stamp[0].width / 2
    x, y = (round((k + 0.5) * scale - half) for k in (column, row))
    picture.paste(stamp[0], (x, y), stamp[1])


def _paint(
    picture: Image.Image,
    places: NDArray[np.int64],
    colours: NDArray[np.uint8],
    size: tuple[int, int],
) -> None:
    """Lay colours (N, 3) over places (N,) of the image."""
    layer = np.zeros((*size, 4), np.uint8)
    layer.reshape(-1, 4)[places] = np.insert(colours, 3, _PAINT, axis=1)
    shown = Image.fromarray(nearest(layer, picture.size))
    picture.paste(shown, (0, 0), shown)


def outline(
    picture: Image.Image,
    places: NDArray[np.int64],
    size: tuple[int, int],
    colour: Colour,
) -> None:
    """Draw a line around areas, with a dark line inside it.

    The ``places``, int64 (N,), are flat indices into an image of ``size`` (H,
    W), which the picture shows.
    """
    inside = np.zeros(size, np.uint8)
    inside.reshape(-1)[places] = 255
    inside = nearest(inside, picture.size)
    for line, side in ((BLACK, 7), (colour, 5)):
        core = cv2.erode(inside, np.ones((side, side), np.uint8))
        picture.paste(line, (0, 0), Image.fromarray(inside - core))


@lru_cache(maxsize=1024)
def mark(status: int, new: bool, colour: Colour, radius: float) -> Stamp:
    """Draw one mark: a disc, a cross where void, a ring where refused.

    A new mark has a broad white rim. An older one is smaller, with a thin dark
    rim and a faint halo that separates it from dark ground. The ``radius`` is
    that of a new mark.
    """
    outer = radius if new else 0.66 * radius
    rim = max(1.0, 0.16 * outer)
    bright = WHITE if new else GREY
    x, y, far = _offsets(outer)
    if status == VOID:
        across, along = abs(x - y) / np.sqrt(2), (x + y) / np.sqrt(2)
        depth = np.minimum(0.18 * outer - across, 1.02 * outer - along)
        return _stamp(depth, [(BLACK, rim), (bright, 0)])
    layers: list[tuple[Colour, float]] = [(BLACK, 0)]
    if status == REFUSED:
        depth = 0.29 * outer - abs(far - 0.71 * outer)
        layers.append((bright, -rim))
    else:
        depth = outer - far
        layers += [(WHITE, -rim)] * new
        inset = rim + (0.22 * outer if new else 0)
        layers.append((colour, -min(inset, 0.7 * outer)))
    return _stamp(depth, layers, halo=not new and status == LABELLED)


@lru_cache(maxsize=64)
def ring(colour: Colour, radius: float) -> Stamp:
    """Draw an open circle with a dark line around it."""
    *_, far = _offsets(radius + 1)
    depth = 2 - abs(far - radius + 1)
    return _stamp(depth, [(BLACK, 0), (colour, -1)])


def _offsets(radius: float) -> tuple[NDArray[np.float64], ...]:
    """Return |x|, |y| and distance from the centre of a stamp's pixels."""
    reach = int(np.ceil(radius)) + 1
    y, x = abs(np.mgrid[-reach : reach + 1, -reach : reach + 1])
    return x, y, np.hypot(x, y)


def _stamp(
    depth: NDArray[np.float64],
    layers: Sequence[tuple[Colour, float]],
    halo: bool = False,
) -> Stamp:
    """Fill a shape with layers of colour, with smooth edges.

    Args:
        depth: Of each pixel inside the shape; negative outside, float (h, w).
        layers: Colours from the lowest to the topmost one, each with how far
            it reaches beyond the shape.
        halo: Whether a translucent line surrounds the shape.
    """
    shades: list[tuple[Colour, float, float]] = [(WHITE, 1, _HALO)] * halo
    shades += [(shade, grown, 1.0) for shade, grown in layers]
    colours = np.full((*depth.shape, 3), shades[0][0], np.float64)
    covers = np.zeros(depth.shape)
    for shade, grown, opacity in shades:
        cover = np.clip(depth + grown + 0.5, 0, 1)
        colours += cover[..., None] * (np.array(shade) - colours)
        covers = np.maximum(covers, opacity * cover)
    return (
        Image.fromarray(colours.round().astype(np.uint8)),
        Image.fromarray((255 * covers).round().astype(np.uint8)),
    )
