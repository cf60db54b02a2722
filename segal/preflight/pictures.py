"""Draw the pictures of a round once, in memory."""

from __future__ import annotations

import numpy as np

from segal.errors import SegALError, raised_at
from segal.preflight.base import Preflight
from segal.structures import LABELLED, VOID
from segal.visualization.marks import Marks
from segal.visualization.over_rounds import Moment, rounds_sheet
from segal.visualization.pictures import Scene, contact_sheet, overlay, panel

_MARKS = 8
"""Number of places drawn as requests."""


def draw(parts: Preflight, problems: list[str]) -> None:
    """Draw one image of each content that the pool has; nothing is written.

    Raises:
        DataError: An image that cannot be read or shown.
    """
    pool = parts.data.pool
    try:
        for name in pool.of_each_content():
            image = pool.read_image(name)
            if parts.config.keys.visualize is not None:
                _draw(parts, name, image)
    except SegALError:
        raise
    except Exception as error:
        problems.append(
            f'active_learning.visualize: a picture of {name} cannot be drawn '
            f'({type(error).__name__}: {error}; {raised_at(error)}); correct '
            "the data set's palette and classes, or set visualize=None"
        )


def _draw(parts: Preflight, name: str, image: np.ndarray) -> None:
    """Draw every kind of picture of one image, uint8 (H, W, 3)."""
    data = parts.data
    size = image.shape[0], image.shape[1]
    pixels = size[0] * size[1]
    places = np.unique(np.linspace(0, pixels - 1, _MARKS).astype(np.int64))
    classes = np.arange(len(places)) % max(1, len(data.classes))
    status = np.full(len(places), LABELLED, np.uint8)
    status[-1] = VOID
    ids = np.arange(pixels) % max(1, len(data.classes))  # every class
    label_map = ids.astype(np.uint8).reshape(size)
    marks = Marks(
        places, classes.astype(np.uint8), status, np.ones(len(places), bool)
    )
    labelled = None
    if parts.config.asks.whole:
        labelled = label_map
    scene = Scene(
        name, image, marks, data.classes, data.palette, 'preflight', labelled,
        truth=label_map,
    )  # fmt: skip
    overlay(scene)
    panel(scene, label_map, np.zeros(size, np.float32))
    rounds_sheet([Moment(0, scene, label_map)])
    contact_sheet([(name, image, 0.0)], 'preflight', '')
