"""The parts pictures are put together from: colours, text, legends, bars.

Everything takes arrays and gives PIL images, at a size to look at: small
images are enlarged by a whole factor with their pixels kept square, large
ones reduced.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import matplotlib as mpl
import numpy as np
from matplotlib.font_manager import FontProperties, findfont
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]

PAPER: Colour = (255, 255, 255)
INK: Colour = (25, 28, 33)
FAINT: Colour = (110, 116, 125)
WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)
GREY: Colour = (190, 193, 198)

_LONGEST = 2048


def display_scale(size: tuple[int, int], target: int) -> float:
    """By how much an image is enlarged or reduced for the eye.

    Args:
        size: (H, W) of the image, in pixels.
        target: What the longer side should come near to, in pixels.

    Returns:
        A whole number where the image is smaller than ``target``; 1, or a
        fraction that brings it down to ``target``, where it is larger.
    """
    longest = max(size)
    if longest > target:
        return target / longest
    return float(max(1, round(target / longest)))


def overlay_scale(size: tuple[int, int]) -> float:
    """As :func:`display_scale`, for a picture of one image alone."""
    if 800 <= max(size) <= _LONGEST:
        return 1.0
    return display_scale(size, 800 if max(size) < 800 else _LONGEST)


def resized(
    pixels: NDArray[np.uint8], scale: float, smooth: bool
) -> Image.Image:
    """An array as a picture.

    Args:
        pixels: uint8 (H, W, 3).
        scale: From :func:`display_scale`.
        smooth: Whether colours may mix where the picture is reduced; never
            for class maps.
    """
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    if scale == 1:
        return picture
    width, height = picture.size
    wanted = max(1, round(width * scale)), max(1, round(height * scale))
    if scale > 1 or not smooth:
        return picture.resize(wanted, Image.Resampling.NEAREST)
    return picture.resize(wanted, Image.Resampling.BOX)


def coloured(
    class_map: NDArray[np.uint8], palette: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """A class map in colours, black where there is no class.

    Args:
        class_map: uint8 (H, W).
        palette: uint8 (C, 3), RGB.

    Returns:
        uint8 (H, W, 3).
    """
    table = np.zeros((256, 3), np.uint8)
    table[: len(palette)] = palette
    return table[class_map]


def score_colours(
    score: NDArray[np.float32],
) -> tuple[NDArray[np.uint8], float, float]:
    """A score map in colours, bright = label first.

    Args:
        score: float32 (H, W); the darkest colour is its 0.5th percentile,
            the brightest its 99.5th, so that one outlier hides nothing.

    Returns:
        uint8 (H, W, 3), and the scores of the darkest and brightest colour.
    """
    ends = np.percentile(thinned(score), (0.5, 99.5))
    low, high = float(ends[0]), float(ends[1])
    if high <= low:
        low, high = float(score.min()), float(score.max())
    level = (score - low) / (high - low) if high > low else score * 0
    steps = (np.clip(level, 0, 1) * 255).astype(np.uint8)
    return _colour_table()[steps], low, high


def thinned(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Some rows and columns of (H, W), evenly spread; for a percentile."""
    step = max(1, min(values.shape) // 256)
    return values[::step, ::step]


def score_bar(height: int, low: float, high: float) -> Image.Image:
    """The colour bar of :func:`score_colours`, with its two ends in figures.

    Args:
        height: In pixels.
        low: Score of the darkest colour.
        high: Score of the brightest.
    """
    face = font(16)
    words = [f'{high:.3g}', f'{low:.3g}']
    reach = max(round(face.getlength(word)) for word in words)
    picture = Image.new('RGB', (26 + reach, height), PAPER)
    ramp = np.linspace(255, 0, height).astype(np.uint8)
    strip = np.repeat(_colour_table()[ramp][:, None], 14, axis=1)
    picture.paste(Image.fromarray(strip), (6, 0))
    draw = ImageDraw.Draw(picture)
    draw.text((24, 0), words[0], INK, face, anchor='lt')
    draw.text((24, height - 1), words[1], INK, face, anchor='lb')
    return picture


@lru_cache(maxsize=1)
def _colour_table() -> NDArray[np.uint8]:
    levels = mpl.colormaps['magma'](np.arange(256))
    return np.round(levels[:, :3] * 255).astype(np.uint8)  # (256, 3)


@lru_cache(maxsize=32)
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The font of all pictures; it comes with matplotlib."""
    style = FontProperties('DejaVu Sans', weight='bold' if bold else 'normal')
    return ImageFont.truetype(findfont(style), size)


def clipped(text: str, face: ImageFont.FreeTypeFont, width: float) -> str:
    """The text, its beginning left out where it is wider than ``width``."""
    if face.getlength(text) <= width:
        return text
    while len(text) > 1 and face.getlength('…' + text) > width:
        text = text[1:]
    return '…' + text


def class_colour(palette: NDArray[np.uint8], index: int) -> Colour:
    """The colour of one class; grey where the palette has none."""
    if index >= len(palette):
        return FAINT
    red, green, blue = palette[index].tolist()
    return red, green, blue


def swatch(colour: Colour, side: int = 18) -> Image.Image:
    """A small square of a class's colour, for a legend."""
    picture = Image.new('RGB', (side, side), colour)
    ImageDraw.Draw(picture).rectangle(
        (0, 0, side - 1, side - 1), outline=FAINT
    )
    return picture


def legend(
    entries: Sequence[tuple[Image.Image, str]], width: int, size: int = 15
) -> Image.Image:
    """Swatches with words behind them, in as many lines as they need.

    Args:
        entries: (picture, words).
        width: In pixels.
        size: Of the words, in pixels.
    """
    face, line, gap = font(size), round(1.9 * size), round(1.2 * size)
    places: list[tuple[int, int]] = []
    x, y = 0, 0
    for picture, words in entries:
        reach = picture.width + 6 + round(face.getlength(words))
        if x and x + reach > width:
            x, y = 0, y + line
        places.append((x, y))
        x += reach + gap
    canvas = Image.new('RGB', (width, y + line if entries else 1), PAPER)
    draw = ImageDraw.Draw(canvas)
    for (picture, words), (x, y) in zip(entries, places, strict=True):
        canvas.paste(picture, (x, y + (line - picture.height) // 2))
        at = x + picture.width + 6, y + line / 2
        draw.text(at, words, INK, face, anchor='lm')
    return canvas


def framed(
    picture: Image.Image,
    title: str,
    subtitle: str,
    entries: Sequence[tuple[Image.Image, str]],
    margin: int = 16,
) -> Image.Image:
    """A picture with a title above and a legend below.

    Args:
        picture: What is shown.
        title: One line, bold; its end is what is kept where it is long.
        subtitle: One line below it.
        entries: Of the :func:`legend`.
        margin: Around everything, in pixels.
    """
    inside = max(picture.width, 520)
    size = int(np.clip(inside / 70, 15, 24))
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
