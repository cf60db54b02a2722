"""Pictures of the same images, round after round."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from mmcv.runner import HOOKS, Hook
from numpy.typing import NDArray
from PIL import Image

from segal.active.units import unit_of
from segal.structures import REFUSED, PoolImage, Selection
from segal.visualization.marks import Marks
from segal.visualization.pictures import Scene, contact_sheet, overlay, panel

if TYPE_CHECKING:
    from segal.runner.round_report import RoundReport

MOST_THUMBNAILS = 100
"""How many images a contact sheet shows."""


class Store(Protocol):
    """What a picture has to know of the label store."""

    def history(self, name: str) -> Any:
        """Every request to one image, with its answer and round."""

    def draw(self, name: str, ignore_index: int = 255) -> NDArray[np.uint8]:
        """The labels of one image as a map."""


@HOOKS.register_module()
class VisualizeHook(Hook):
    """Draws, after each round, what is labelled, predicted and scored.

    ``work_dir/<dir>/round_003/`` shows the network of round 3, and marks as
    new what was asked on the strength of it. The images are the same in every
    round, and spread evenly over the pool. Where whole images are asked, a
    contact sheet shows those of the round.

    Args:
        size: How many images; all where the pool is smaller.
        overlay: Whether to draw a picture of each image alone, besides the
            one with labels, prediction and score side by side.
        dir: Folder for the pictures, seen from the work_dir.
    """

    def __init__(
        self,
        size: int = 10,
        overlay: bool = True,
        dir: str = 'viz',
    ) -> None:
        self.size = size
        self.overlay = overlay
        self.dir = dir

    def after_round(self, runner: object, report: RoundReport) -> None:
        """Draw the round's pictures and list them in the report.

        Args:
            runner: The round's runner; not looked at.
            report: What the round came to.
        """
        number = int(report.row['round'])
        folder = Path(report.work_dir) / self.dir / f'round_{number:03d}'
        folder.mkdir(parents=True, exist_ok=True)
        asked = report.selection
        for i, image in enumerate(chosen_images(report.pool, self.size)):
            scene = scene_of(
                image,
                report.store,
                report.read_image,
                report.classes,
                report.palette,
                asked,
                f'after round {number}',
            )
            stem = f'{i:02d}_{slug(image.name)}'
            if self.overlay:
                path = folder / f'{stem}_overlay.png'
                report.pictures.append(save(overlay(scene), path))
            prediction, score = report.predict(image.name)
            path = folder / f'{stem}_panel.png'
            picture = panel(scene, prediction, score)
            report.pictures.append(save(picture, path))
        if asked is not None and unit_of(asked).drawn == 'sheet':
            path = folder / 'asked.png'
            title = f'Images asked after round {number}'
            sheet = sheet_of(asked, report.read_image, title)
            report.pictures.append(save(sheet, path))


def chosen_images(
    pool: Sequence[PoolImage], count: int
) -> Sequence[PoolImage]:
    """``count`` images spread evenly over the pool; always the same ones."""
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
) -> Scene:
    """One image of the pool with its labels, ready to be drawn.

    Args:
        image: Which one.
        store: What is labelled.
        read_image: name -> uint8 (H, W, 3), RGB.
        classes: Names of the C classes.
        palette: uint8 (C, 3), RGB.
        asked: What is marked as new, if anything.
        when: Words for the picture's title.
        until: The last label file that counts; all where None.
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
        areas=asked is not None and unit_of(asked).drawn == 'areas',
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
    )


def sheet_of(
    asked: Selection,
    read_image: Callable[[str], NDArray[np.uint8]],
    title: str,
) -> Image.Image:
    """A contact sheet of the whole images a round asked, best score first."""
    scores = {
        name: float(asked.scores[name][0]) if name in asked.scores else None
        for name in asked.places
    }
    names: Iterable[str] = sorted(
        scores, key=lambda name: (-(scores[name] or 0.0), name)
    )
    words = f'{len(scores)} image{"s" if len(scores) != 1 else ""}'
    if len(scores) > MOST_THUMBNAILS:
        names = list(names)[:MOST_THUMBNAILS]
        words += f', the first {MOST_THUMBNAILS} by score are shown'
    words += f'  ·  label file {asked.round}'
    thumbnails = [(name, read_image(name), scores[name]) for name in names]
    return contact_sheet(thumbnails, title, words)


def slug(name: str) -> str:
    """An image's name as the beginning of a file's name."""
    stem = re.sub(r'\.\w{2,4}$', '', name)
    return re.sub(r'[^A-Za-z0-9._-]+', '_', stem).strip('_')[-80:]


def save(picture: Image.Image, path: Path) -> Path:
    """Write a picture; returns its path."""
    picture.save(path, compress_level=3)
    return path
