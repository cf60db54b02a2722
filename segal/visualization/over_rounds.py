"""Draw one image over all rounds: as a contact sheet and as an animation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segal.visualization import drawing
from segal.visualization.drawing import PAPER, Entry
from segal.visualization.marks import as_areas
from segal.visualization.pictures import (
    Scene,
    error_words,
    errors_on,
    labels_on,
    legend_of,
)

MOST_ROUNDS = 24
"""Largest number of rounds that are drawn; of more, some are left out."""

_MOST_COLUMNS = 6
_SIDE, _FRAME_SIDE = 320, 400
_STANDS = 1400, 3500
"""How long a frame, and the last one, is shown, in milliseconds."""

_COLOURS = 192
"""Colours of a frame of the animation, beside those of the classes."""

Tile = tuple[Image.Image, list[str]]


@dataclass(frozen=True)
class Moment:
    """One image after the training of one round.

    Attributes:
        round: From 0.
        scene: With the labels that the round was trained on; those that were
            bought last are new. Its ``when`` names the round.
        prediction: uint8 (H, W), by the round's network.
    """

    round: int
    scene: Scene
    prediction: NDArray[np.uint8]


def save_prediction(
    prediction: NDArray[np.uint8], palette: NDArray[np.uint8], path: Path
) -> None:
    """Write a class map (H, W) as a PNG of class ids with their colours."""
    picture = Image.fromarray(prediction)
    picture.putpalette(drawing.class_colours(palette).tobytes())
    picture.save(path)


def read_moments(
    rounds: int,
    path_of: Callable[[int], Path],
    scene_after: Callable[[int], Scene],
) -> list[Moment]:
    """Collect one image over the rounds whose predictions were kept.

    Args:
        rounds: How many rounds there are; of many, evenly spread ones count.
        path_of: Round -> the file of its prediction.
        scene_after: Round -> the image with the labels of that round.
    """
    count = min(rounds, MOST_ROUNDS)
    moments = []
    for number in (
        np.linspace(0, rounds - 1, count).round().astype(int).tolist()
    ):
        try:
            with Image.open(path_of(number)) as picture:
                prediction = np.asarray(picture, np.uint8)
        except OSError:
            continue  # the round was not drawn
        scene = scene_after(number)
        if prediction.shape == scene.image.shape[:2]:
            moments.append(Moment(number, scene, prediction))
    return moments


def rounds_sheet(moments: Sequence[Moment]) -> Image.Image:
    """Draw bought labels, prediction and errors of each round, in columns.

    The image and its ground truth, where it is known, come first.
    """
    scene = moments[0].scene
    scale = drawing.display_scale(scene.image.shape[:2], _SIDE)
    columns = [_beginning(scene, scale)]
    columns += [_column(moment, scale) for moment in moments]
    bands = -(-len(columns) // _MOST_COLUMNS)
    step = -(-len(columns) // bands)
    size = drawing.text_size(step * columns[0][0][0].width)
    rows = [
        drawing.grid(tiles, step, size)
        for begin in range(0, len(columns), step)
        for tiles in zip(*columns[begin : begin + step], strict=True)
    ]
    words = f'rounds 0 to {moments[-1].round}'
    return drawing.framed(
        drawing.stacked(rows), scene.name, words, _legend(moments, scale)
    )


def rounds_frames(moments: Sequence[Moment]) -> list[Image.Image]:
    """Draw bought labels, prediction and errors of each round, in a row."""
    scene = moments[0].scene
    scale = drawing.display_scale(scene.image.shape[:2], _FRAME_SIDE)
    entries = _legend(moments, scale)
    frames = []
    for moment in moments:
        tiles = [(tile, words[-1:]) for tile, words in _column(moment, scale)]
        size = drawing.text_size(len(tiles) * tiles[0][0].width)
        frames.append(
            drawing.framed(
                drawing.grid(tiles, len(tiles), size),
                moment.scene.name,
                f'{moment.scene.when} (of rounds 0 to {moments[-1].round})',
                entries,
            )
        )
    return frames


def save_animation(
    frames: Sequence[Image.Image], palette: NDArray[np.uint8], path: Path
) -> Path:
    """Write frames as a GIF that begins anew at its end.

    The colours of the ``palette``, uint8 (C, 3), stay as they are.
    """
    each, last = _STANDS
    few = [_with_few_colours(frame, palette) for frame in frames]
    few[0].save(
        path,
        save_all=True,
        append_images=few[1:],
        duration=[each] * (len(few) - 1) + [last],
        loop=0,
    )
    return path


def _with_few_colours(
    frame: Image.Image, palette: NDArray[np.uint8]
) -> Image.Image:
    """Reduce a frame to 256 colours, among them those of its classes."""
    few = frame.quantize(_COLOURS, dither=Image.Dither.NONE)
    codes = _codes(np.asarray(frame))  # (H, W)
    kept = np.intersect1d(_codes(palette), codes)[: 256 - _COLOURS]
    table = np.zeros((256, 3), np.uint8)
    shown = np.reshape(few.getpalette() or [], (-1, 3))[:_COLOURS]
    table[: len(shown)] = shown
    ends = _COLOURS + np.arange(len(kept))
    table[ends] = kept[:, None] >> (16, 8, 0) & 255
    pixels, exact = np.array(few), np.isin(codes, kept)
    pixels[exact] = ends[np.searchsorted(kept, codes[exact])]
    picture = Image.fromarray(pixels)
    picture.putpalette(table.tobytes())
    return picture


def _codes(colours: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Write colours (..., 3) as one number each."""
    return colours.astype(np.int64) @ (1 << 16, 1 << 8, 1)


def _beginning(scene: Scene, scale: float) -> list[Tile]:
    """Draw the image and its ground truth, or nothing in its place."""
    image = drawing.resized(scene.image, scale, smooth=True)
    blank = Image.new('RGB', image.size, PAPER)
    if scene.truth is None:
        return [(image, ['', 'image']), (blank, [''])]
    colours = drawing.coloured(scene.truth, scene.palette)
    truth = drawing.resized(colours, scale, smooth=False)
    return [
        (image, ['', 'image']), (truth, ['ground truth']), (blank, ['']),
    ]  # fmt: skip


def _column(moment: Moment, scale: float) -> list[Tile]:
    """Draw bought labels, prediction, and errors where these are known."""
    scene = moment.scene
    colours = drawing.coloured(moment.prediction, scene.palette)
    tiles = [
        (labels_on(scene, scale), [scene.when, ', '.join(scene.amount())]),
        (drawing.resized(colours, scale, smooth=False), ['prediction']),
    ]
    if scene.truth is not None:
        wrong, share = errors_on(scene, moment.prediction, scale)
        tiles.append((wrong, [error_words(share)]))
    return tiles


def _legend(moments: Sequence[Moment], scale: float) -> list[Entry]:
    """List the classes of all rounds, and the kinds of marks."""
    last = moments[-1].scene
    maps = [last.truth, *(moment.prediction for moment in moments)]
    size = last.image.shape[0] * scale, last.image.shape[1] * scale
    earlier = [moment.scene for moment in moments[:-1]]
    areas = as_areas(size, last.marks, scale)
    return legend_of(last, areas, maps, earlier)
