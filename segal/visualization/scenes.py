"""Choose images of a pool and collect what their pictures show."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segal.structures import REFUSED, PoolImage, Selection
from segal.visualization.marks import Marks
from segal.visualization.pictures import Scene, contact_sheet

MOST_THUMBNAILS = 100
"""Largest number of images on a contact sheet."""


class Store(Protocol):
    """The part of a label store that pictures need."""

    def history(self, name: str) -> Any:
        """Return every request to one image, with its answer and round."""

    def draw(self, name: str, ignore_index: int = 255) -> NDArray[np.uint8]:
        """Return the labels of one image as a map."""


@contextmanager
def never_ends_a_run(what: str) -> Iterator[None]:
    """Log an error of drawing in place of raising it."""
    try:
        yield
    except Exception:
        logging.getLogger('mmseg').warning(
            '%s cannot be drawn; the run goes on without', what, exc_info=True
        )


def chosen_images(
    pool: Sequence[PoolImage], count: int
) -> Sequence[PoolImage]:
    """Choose images spread evenly over the pool; always the same ones."""
    count = min(count, len(pool))
    return [pool[(2 * i + 1) * len(pool) // (2 * count)] for i in range(count)]


def scene_of(
    image: PoolImage,
    store: Store,
    read_image: Callable[[str], NDArray[np.uint8]],
    classes: Sequence[str],
    palette: NDArray[np.uint8],
    asked: Selection | None,
    when: str,
    until: int | None = None,
    truth: NDArray[np.uint8] | None = None,
) -> Scene:
    """Collect one image of the pool and its labels, to draw them.

    What was ``asked`` is marked as new; ``until`` is the number of the last
    label file that counts (None: all do). ``read_image`` gives uint8 (H, W,
    3), RGB, and ``when`` is put below the picture's title. The ``truth`` is
    the ground truth (H, W), where it is known.
    """
    history = store.history(image.name)
    newest = -1 if asked is None else asked.round
    last = int(history.rounds.max(initial=0)) if until is None else until
    seen = history.rounds <= last
    marks = Marks(
        places=history.places[seen],
        classes=history.classes[seen],
        status=history.status[seen],
        new=history.rounds[seen] == newest,
        areas=asked is not None and bool(asked.regions),
    )
    label_map = None
    answered = history.whole and history.whole_status != REFUSED
    if answered and (until is None or history.round <= until):
        label_map = store.draw(image.name)
    return Scene(
        image.name,
        read_image(image.name),
        marks,
        classes,
        palette,
        when,
        label_map,
        new=history.round == newest,
        truth=truth if label_map is None else label_map,
    )


def sheet_of(
    asked: Selection,
    read_image: Callable[[str], NDArray[np.uint8]],
    title: str,
) -> Image.Image:
    """Draw the whole images that a round asked, best score first."""
    scores = {
        name: float(asked.scores[name][0]) if name in asked.scores else None
        for name in asked.places
    }
    names = sorted(scores, key=lambda name: (-(scores[name] or 0.0), name))
    words = f'{len(scores)} image{"s" if len(scores) != 1 else ""}'
    if len(scores) > MOST_THUMBNAILS:
        names = names[:MOST_THUMBNAILS]
        words += f', the first {MOST_THUMBNAILS} by score are shown'
    words += f'  ·  label file {asked.round}'
    thumbnails = [(name, read_image(name), scores[name]) for name in names]
    return contact_sheet(thumbnails, title, words)


def slug(name: str) -> str:
    """Turn an image's name into the beginning of a file name."""
    stem = re.sub(r'\.\w{2,4}$', '', name)
    return re.sub(r'[^A-Za-z0-9._-]+', '_', stem).strip('_')[-80:]


def save(picture: Image.Image, path: Path) -> Path:
    """Write a picture and return its path."""
    picture.save(path, compress_level=3)
    return path
