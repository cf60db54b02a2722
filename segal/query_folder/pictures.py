"""Draw the picks of a folder query."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from segal.active.units import unit_of
from segal.query_folder.query import Query
from segal.structures import LABELLED
from segal.visualization.marks import Marks
from segal.visualization.pictures import Scene, contact_sheet, panel
from segal.visualization.scenes import (
    MOST_THUMBNAILS,
    chosen_images,
    save,
    slug,
)


@dataclass(frozen=True)
class PickScene(Scene):
    """An image with picks, which nobody has answered yet."""

    score: float = 0.0
    count: int = 0

    @property
    def summary(self) -> str:
        """Write the number of picks and the best score."""
        if not len(self.marks):
            return f'{self.when}  ·  score {self.score:.4g}'
        many = 's' * (self.count != 1)
        return (
            f'{self.when}  ·  {self.count} pick{many}  ·  best score '
            f'{self.score:.4g}'
        )


def draw(query: Query, folder: Path, count: int) -> None:
    """Draw picks, prediction and score of ``count`` picked images."""
    selection, trained = query.selection, query.trained
    drawn = unit_of(selection).drawn
    if len(trained.classes) > 256 or count < 1:
        return
    palette = np.asarray(query.pool.dataset.PALETTE, np.uint8)
    asked = [image for image in query.pool if image.name in selection.places]
    shown = [image.name for image in chosen_images(asked, count)]
    scores = query.scores(shown)
    for i, name in enumerate(shown):
        classes = query.maps.get(name)
        places = selection.places[name]
        marks = Marks(
            places,
            classes.reshape(-1)[places],
            np.full(len(places), LABELLED, np.uint8),
            np.ones(len(places), bool),
            areas=drawn == 'areas',
        )
        scene = PickScene(
            query.path(name),
            query.pool.read_image(name),
            marks,
            trained.classes,
            palette,
            f'by {query.parts.heuristic["type"]}',
            newly='pick, coloured as predicted',
            score=float(selection.scores[name].max()),
            count=selection.count(name),
        )
        caption = '' if drawn == 'sheet' else 'picks'
        picture = panel(scene, classes, scores[name], caption)
        save(picture, folder / f'{i:02d}_{slug(query.path(name))}.png')
    if drawn == 'sheet':
        save(_sheet(query), folder / 'asked.png')


def _sheet(query: Query) -> Image.Image:
    """List the picked images, best first."""
    scores = query.selection.scores
    names = sorted(scores, key=lambda x: (-float(scores[x][0]), query.path(x)))
    return contact_sheet(
        [
            (
                query.path(name),
                query.pool.read_image(name),
                float(scores[name][0]),
            )
            for name in names[:MOST_THUMBNAILS]
        ],
        'Images to label, best first',
        f'{min(len(names), MOST_THUMBNAILS)} of {len(names)} picks of '
        f'{len(query.pool)} images are shown',
    )
