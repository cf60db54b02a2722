"""Choose colours for classes of a data set that names none."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

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
    lab = _lab(grid)
    seen = (lab[:, 0] >= _LIGHT[0]) & (lab[:, 0] <= _LIGHT[1])
    colours, lab = grid[0][seen], lab[seen]
    strength = np.hypot(lab[:, 1], lab[:, 2])  # distance from grey
    lab = lab * np.stack(
        [np.full_like(strength, _LIGHTNESS), *[_flat(strength)] * 2], axis=1
    )  # (N, 3)
    away = np.hypot(lab[:, 1], lab[:, 2])  # from grey
    chosen: list[list[int]] = []
    for _ in range(count):
        at = int(away.argmax())
        chosen.append(colours[at].tolist())
        away = np.minimum(away, np.linalg.norm(lab - lab[at], axis=1))
        if not away.any():
            away = np.hypot(lab[:, 1], lab[:, 2])
    return chosen


def _flat(strength: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the factors (N,) that make strengths of colour more alike."""
    flat = 10 / np.sqrt(np.maximum(strength, 1))
    return flat.astype(np.float32)


def _lab(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Convert RGB (1, N, 3) to CIELAB (N, 3)."""
    unit = rgb.astype(np.float32) / 255
    return np.asarray(cv2.cvtColor(unit, cv2.COLOR_RGB2LAB)[0])
