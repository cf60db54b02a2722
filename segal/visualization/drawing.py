"""Put pictures together: scaling, colours, text, legends and grids."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps

Colour = tuple[int, ...]
Entry = tuple[Image.Image, str]
"""A swatch of a legend and its words."""

PAPER = WHITE = (255, 255, 255)
BLACK = (0, 0, 0)
INK = (25, 28, 33)
FAINT = (110, 116, 125)
GREY = (190, 193, 198)

_LONGEST = 2048
_GAP = 14


def display_scale(size: tuple[int, int], target: int) -> float:
    """Choose the factor by which an image (H, W) is enlarged or reduced.

    Its longer side becomes about ``target`` pixels long. The factor is a whole
    number for a smaller image, so that its pixels stay square; a fraction, or
    1, for a larger one.
    """
    longest = max(size)
    if longest > target:
        return target / longest
    return float(max(1, round(target / longest)))


def overlay_scale(size: tuple[int, int]) -> float:
    """Choose the factor for a picture of one image alone."""
    if 800 <= max(size) <= _LONGEST:
        return 1.0
    return display_scale(size, 800 if max(size) < 800 else _LONGEST)


def resized(
    pixels: NDArray[np.uint8], scale: float, smooth: bool
) -> Image.Image:
    """Scale an image, uint8 (H, W, 3), by a factor.

    If ``smooth``, colours may mix where it is reduced; never for class maps.
    """
    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    if scale >= 1 or not smooth:
        return Image.fromarray(nearest(pixels, (width, height)))
    shown = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    return Image.fromarray(shown)


def nearest(
    pixels: NDArray[np.uint8], size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Scale an image or a mask to (width, height); no values are mixed."""
    way = cv2.INTER_NEAREST_EXACT
    return np.asarray(cv2.resize(pixels, size, interpolation=way), np.uint8)


def class_colours(palette: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the colour of each class id, uint8 (256, 3); grey beyond C."""
    table = np.full((256, 3), FAINT, np.uint8)
    table[: len(palette)] = palette
    return table


def coloured(
    class_map: NDArray[np.uint8], palette: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Colour a class map (H, W): uint8 (H, W, 3); beyond C is void."""
    table = class_colours(palette)
    table[len(palette) :] = void_colour(palette)
    return table[class_map]


def void_colour(palette: NDArray[np.uint8]) -> Colour:
    """Choose the colour of void: black, or VOC's where a class is black."""
    brightest = palette.max(axis=1, initial=0)  # (C,), of three channels
    return BLACK if (brightest > 30).all() else (224, 224, 192)


def as_void(
    image: NDArray[np.uint8], palette: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Tint an image (..., 3) as void; a third of it is seen through."""
    colour = np.array(void_colour(palette), np.uint8)
    return image // 3 + colour // 3 * 2


def score_colours(
    score: NDArray[np.float32],
) -> tuple[NDArray[np.uint8], float, float]:
    """Colour a score map (H, W): uint8 (H, W, 3), bright = label first.

    Returns the scores of the darkest and brightest colour, too: the 0.5th and
    the 99.5th percentile, so that an outlier does not hide the rest.
    """
    ends = np.percentile(thinned(score), (0.5, 99.5))
    low, high = float(ends[0]), float(ends[1])
    if high <= low:
        low, high = float(score.min()), float(score.max())
    level = (score - low) / (high - low) if high > low else score * 0
    return _magma(np.clip(level, 0, 1) * 255), low, high


def _magma(levels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Colour levels (H, W) from 0 to 255."""
    steps = levels.astype(np.uint8)
    bgr = cv2.applyColorMap(steps, cv2.COLORMAP_MAGMA)
    return np.ascontiguousarray(bgr[..., ::-1], np.uint8)


def thinned(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Keep evenly spread rows and columns of (H, W), for a percentile."""
    step = max(1, min(values.shape) // 256)
    return values[::step, ::step]


def score_bar(
    height: int, low: float, high: float, best: float, size: int = 16
) -> Image.Image:
    """Draw the colour bar of :func:`score_colours` with its end scores.

    Where the ``best`` score lies above the bar's end, the bar says so.
    """
    face = font(size)
    top, bottom = f'{high:.3g}', f'{low:.3g}'
    above = [f'≥ {top}', 'best', f'{best:.3g}']
    lines = above if above[-1] != top and best > high else [top]
    reach = max(round(face.getlength(word)) for word in (*lines, bottom))
    picture = Image.new('RGB', (26 + reach, height), PAPER)
    ramp = np.linspace(255, 0, height, dtype=np.float32)
    strip = _magma(np.repeat(ramp[:, None], 14, axis=1))
    picture.paste(Image.fromarray(strip), (6, 0))
    draw = ImageDraw.Draw(picture)
    for k, word in enumerate(lines):
        at = 24, round(1.25 * size * k)
        draw.text(at, word, FAINT if k else INK, face, anchor='lt')
    draw.text((24, height - 1), bottom, INK, face, anchor='lb')
    return picture


def text_size(width: float) -> int:
    """Choose the size of text in a picture that is ``width`` pixels wide."""
    return int(np.clip(width / 66, 15, 24))


@lru_cache(maxsize=32)
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Return the font of all pictures; it comes with matplotlib."""
    from matplotlib.font_manager import FontProperties, findfont

    style = FontProperties('DejaVu Sans', weight='bold' if bold else 'normal')
    return ImageFont.truetype(findfont(style), size)


def clipped(text: str, face: ImageFont.FreeTypeFont, width: float) -> str:
    """Write a text on one line of ``width`` pixels; its end is kept."""
    text = re.sub(r'[\r\n]', '�', text)
    if face.getlength(text) <= width:
        return text
    while len(text) > 1 and face.getlength('…' + text) > width:
        text = text[1:]
    return '…' + text


def swatch(
    colour: Colour, edge: Colour = FAINT, side: int = 18, border: int = 1
) -> Image.Image:
    """Draw a small square of one colour with an edge, for a legend."""
    inner = Image.new('RGB', (side - 2 * border,) * 2, colour)
    return ImageOps.expand(inner, border, edge)


def legend(
    entries: Sequence[Entry], width: int, size: int = 15
) -> Image.Image:
    """Draw swatches with words behind them, on as many lines as needed."""
    face, line, gap = font(size), round(1.9 * size), round(1.2 * size)
    canvas = Image.new('RGB', (width, line * (len(entries) + 1)), PAPER)
    draw = ImageDraw.Draw(canvas)
    x = y = 0
    for square, words in entries:
        reach = square.width + 6 + round(face.getlength(words))
        if x and x + reach > width:
            x, y = 0, y + line
        canvas.paste(square, (x, y + (line - square.height) // 2))
        at = x + square.width + 6, y + line / 2
        draw.text(at, words, INK, face, anchor='lm')
        x += reach + gap
    return canvas.crop((0, 0, width, y + line if entries else 1))


def grid(
    tiles: Sequence[tuple[Image.Image, Sequence[str]]],
    columns: int,
    size: int = 18,
    right: Image.Image | None = None,
    row: int = -1,
) -> Image.Image:
    """Lay out pictures in rows, each below its lines of text.

    Each has as many lines; ``right`` stands to the right of a row, the last
    one by default.
    """
    tiles = tiles or [(Image.new('RGB', (1, 1), PAPER), [])]
    width, height = np.max([tile.size for tile, _ in tiles], axis=0).tolist()
    face, line = font(size), round(1.45 * size)
    above = 8 + line * len(tiles[0][1])
    step = width + _GAP, above + height + _GAP // 2
    rows = -(-len(tiles) // columns)
    beside = right.width if right else 0
    shape = columns * step[0] - _GAP + beside, rows * step[1]
    canvas = Image.new('RGB', shape, PAPER)
    draw = ImageDraw.Draw(canvas)
    for i, (tile, words) in enumerate(tiles):
        x, y = i % columns * step[0], i // columns * step[1]
        for k, text in enumerate(words):
            shown = clipped(text, face, width)
            at = x, y + 5 + k * line
            draw.text(at, shown, FAINT if k else INK, face, 'la')
        canvas.paste(tile, (x, y + above))
    if right:
        y = row % rows * step[1] + above
        canvas.paste(right, (canvas.width - beside, y))
    return canvas


def stacked(pictures: Sequence[Image.Image]) -> Image.Image:
    """Put pictures below each other, at the left."""
    width = max(picture.width for picture in pictures)
    height = sum(picture.height for picture in pictures)
    canvas = Image.new('RGB', (width, height), PAPER)
    y = 0
    for picture in pictures:
        canvas.paste(picture, (0, y))
        y += picture.height
    return canvas


def framed(
    picture: Image.Image,
    title: str,
    subtitle: str,
    entries: Sequence[Entry],
    margin: int = 16,
) -> Image.Image:
    """Draw a title and a line above a picture, and a legend below it.

    A title that is too long keeps its end.
    """
    inside = max(picture.width, 520)
    size = text_size(inside)
    bold, plain = font(round(1.25 * size), bold=True), font(size)
    below = legend(entries, inside, size)
    top = margin + round(3.4 * size)
    height = top + picture.height + below.height + margin + margin // 2
    canvas = Image.new('RGB', (inside + 2 * margin, height), PAPER)
    draw = ImageDraw.Draw(canvas)
    draw.text((margin, margin), clipped(title, bold, inside), INK, bold, 'la')
    at = margin, margin + round(1.75 * size)
    draw.text(at, clipped(subtitle, plain, inside), FAINT, plain, 'la')
    canvas.paste(picture, (margin + (inside - picture.width) // 2, top))
    canvas.paste(below, (margin, top + picture.height + margin // 2 + 2))
    return canvas


_STEPS = 12
_LIGHTNESS = 0.7
"""Weight of a difference in lightness."""

_LIGHT = (35, 85)
"""Lightness, in per cent: to be seen over dark and bright images alike."""


@cache
def distinct_palette(count: int) -> list[list[int]]:
    """Choose colours that lie far apart to the eye.

    Each one is as far as can be from those before it and from grey, in a
    space where hue counts more than lightness and strength of colour: a dark
    green beside a light one are two greens to the eye. So the first colours
    are the same for any number of classes.

    Args:
        count: How many; beyond some hundreds they repeat.

    Returns:
        RGB, 0 to 255 each.
    """
    steps = np.linspace(0, 255, _STEPS).astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(1, -1, 3)
    unit = grid.astype(np.float32) / 255
    lab = np.asarray(cv2.cvtColor(unit, cv2.COLOR_RGB2LAB)[0])  # (N, 3)
    seen = (lab[:, 0] >= _LIGHT[0]) & (lab[:, 0] <= _LIGHT[1])
    colours, lab = grid[0][seen], lab[seen]
    strength = np.hypot(lab[:, 1], lab[:, 2])  # distance from grey
    flat = 10 / np.sqrt(np.maximum(strength, 1))  # more alike in strength
    lab = lab * np.stack([np.full_like(flat, _LIGHTNESS), flat, flat], axis=1)
    away = np.hypot(lab[:, 1], lab[:, 2])  # from grey
    chosen: list[list[int]] = []
    for _ in range(count):
        at = int(away.argmax())
        chosen.append(colours[at].tolist())
        away = np.minimum(away, np.linalg.norm(lab - lab[at], axis=1))
        if not away.any():
            away = np.hypot(lab[:, 1], lab[:, 2])
    return chosen
