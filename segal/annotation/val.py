"""Make a validation set of uniformly random pixels of held-out images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from segal.active.images.file import MARK, STORED, UPRIGHT
from segal.active.label_store.file import LabelFile, encode
from segal.annotation.request import Request
from segal.annotation.state import State
from segal.annotation.votes import decided
from segal.errors import ConfigError
from segal.files import whole_file
from segal.seeding import key, place_keys
from segal.structures import REFUSED, PoolImage

NO_CLASS = 255

FEW = 30
"""Answers of a class below which its IoU is mostly noise."""


def draw_points(
    images: Sequence[PoolImage],
    per_image: int,
    seed: int,
    experiment: str = '',
) -> bytes:
    """Draw random pixels, and write them as a request.

    Each image gets a share of all points that is that of its pixels, so that
    every pixel of the set is as likely as another.

    Args:
        images: Of the validation set.
        per_image: Mean number of points.
        seed: Of the draw.
        experiment: A digest of classes and images; it does not change the
            draw.

    Returns:
        A frozen request, round 0.

    Raises:
        ConfigError: There are more points than pixels.
    """
    pixels = np.array([image.pixels for image in images], np.float64)
    wanted = per_image * len(images) * pixels / pixels.sum()
    counts = np.maximum(1, np.rint(wanted)).astype(int)
    if (counts > pixels).any():
        raise ConfigError(
            f'--points: wanted at most {int(pixels.min()):,}, the pixels of '
            f'the smallest image, got {per_image:,}'
        )
    parts = []
    for image, count in zip(images, counts.tolist(), strict=True):
        stream = key(seed, 'validation', image.name)
        draws = place_keys(stream, np.arange(image.pixels))
        parts.append(np.sort(np.argpartition(draws, count - 1)[:count]))
    total = int(counts.sum())
    return encode(
        LabelFile(
            round=0,
            unit='pixel',
            images=[(image.name, *image.size) for image in images],
            offsets=np.append(0, np.cumsum(counts)).astype(np.int32),
            experiment=experiment,
            places=np.concatenate(parts).astype(np.int32),
            classes=np.full(total, NO_CLASS, np.uint8),
            status=np.full(total, REFUSED, np.uint8),
        )
    )


def write_masks(
    request: Request,
    state: State,
    folder: Path,
    files: Mapping[str, str],
    upright: bool,
    ignore_index: int,
) -> NDArray[np.int64]:
    """Write the answers as annotations, void where nothing was asked.

    Args:
        request: What was asked.
        state: What was answered.
        folder: Of the annotations.
        files: Name of an image -> file of its annotation in the folder.
        upright: Whether images were shown as their EXIF orientation says.
        ignore_index: Id of void in the data set.

    Returns:
        Answers of each class, int64 (255,).
    """
    maps = {
        name: np.full((height, width), ignore_index, np.uint8)
        for name, height, width in request.content.images
    }
    counts = np.zeros(NO_CLASS, np.int64)
    for item in request:
        event = decided(state, item.index)
        if event is not None and event.cls is not None:
            maps[item.image].reshape(-1)[item.places] = event.cls
            counts[event.cls] += 1
    mark = PngInfo()
    mark.add_text(MARK, UPRIGHT if upright else STORED)
    for name, label_map in maps.items():
        path = folder / files[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            Image.fromarray(label_map).save(file, 'PNG', pnginfo=mark)
    return counts
