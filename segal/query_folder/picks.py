"""List the picks of a folder query, and draw them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segal.active.units import unit_of
from segal.errors import DataError
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

MOST = 2**16 - 1
"""Regions of an image that a map can tell apart."""


@dataclass(frozen=True)
class Pick:
    """One pixel, region or image to label.

    Attributes:
        image: Path of the image, seen from the folder.
        row: From the top, from 0; None for a whole image, and for a region.
        column: From the left, from 0; the same.
        score: Higher = label first.
        class_id: Predicted class of the pixel, or of most of its pixels.
        class_name: The name of that class.
        region: Its value in the map of its image; None for no region.
        map: Path of that map, relative to the output.
        places: int64 (N,), the pixels of a region.
        box: First row, first column, last row and last column of a region.
    """

    image: str
    row: int | None
    column: int | None
    score: float
    class_id: int
    class_name: str
    region: int | None = None
    map: str | None = None
    places: NDArray[np.int64] | None = None
    box: tuple[int, int, int, int] | None = None

    @property
    def order(self) -> tuple[Any, ...]:
        """Return the sort key: best first, then image and place."""
        place = self.box or (self.row or 0, self.column or 0)
        return (-self.score, self.image, *place)


def picks(query: Query) -> list[Pick]:
    """List all picks, best first; equal scores by image and place."""
    found = [
        pick for name in query.selection.places for pick in _in(query, name)
    ]
    return sorted(found, key=lambda pick: pick.order)


def _in(query: Query, name: str) -> Iterator[Pick]:
    """List the picks in one image."""
    selection, classes = query.selection, query.maps.get(name)
    path = query.path(name)
    if query.request.asks.grouped:
        yield from _regions_in(query, name)
        return
    places: list[int | None] = selection.places[name].tolist()
    ids = classes.reshape(-1)[selection.places[name]].tolist()
    if selection.whole:
        places, ids = [None], [int(np.bincount(classes.reshape(-1)).argmax())]
    for place, number, score in zip(
        places, ids, selection.scores[name], strict=True
    ):
        row = column = None
        if place is not None:
            row, column = divmod(place, classes.shape[1])
        yield Pick(
            path,
            row,
            column,
            float(f'{score:.9g}'),  # all that float32 holds
            number,
            query.trained.classes[number],
        )


def _regions_in(query: Query, name: str) -> Iterator[Pick]:
    """List the picked regions of one image, best first."""
    selection, classes = query.selection, query.maps.get(name)
    region, places = selection.regions[name], selection.places[name]
    order = np.argsort(region, kind='stable')
    ends = np.flatnonzero(np.diff(region[order])) + 1
    for number, at in enumerate(np.split(order, ends)):
        mine = places[at]
        rows, columns = np.divmod(mine, classes.shape[1])
        most = int(np.bincount(classes.reshape(-1)[mine]).argmax())
        score = selection.scores[name][at[0]]
        yield Pick(
            query.path(name),
            None,
            None,
            float(f'{score:.9g}'),
            most,
            query.trained.classes[most],
            number + 1,
            map_of(query, name),
            mine,
            (
                int(rows.min()),
                int(columns.min()),
                int(rows.max()),
                int(columns.max()),
            ),
        )


def map_of(query: Query, name: str) -> str:
    """Return the path of an image's region map, relative to the output."""
    number, path = query.pool.position[name], query.path(name)
    return f'regions/{number:05d}_{slug(path)}.png'


def write_maps(query: Query, out: Path) -> None:
    """Write a map of the picked regions of an image.

    One PNG of 16 bits for each image with picks: 0 is what was not picked,
    other values are the ``region`` of ``selection.jsonl``.

    Raises:
        DataError: An image has more than its map can tell apart.
    """
    for name, places in query.selection.places.items():
        most = query.selection.count(name)
        if most > MOST:
            raise DataError(
                f'{query.path(name)}: {most:,} regions were picked in it, '
                f'more than the {MOST:,} that its map can tell apart; '
                'ask fewer, or larger ones (--shape)'
            )
        values = np.zeros(query.maps.get(name).shape, np.uint16)
        values.reshape(-1)[places] = query.selection.regions[name] + 1
        picture = Image.fromarray(values)
        save(picture, out / map_of(query, name))


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
        best, number = selection.scores[name].max(), selection.count(name)
        words = [
            f'{number} pick{"s" * (number != 1)}',
            f'best score {best:.4g}',
        ]
        scene = Scene(
            query.path(name),
            query.pool.read_image(name),
            marks,
            trained.classes,
            palette,
            f'by {query.parts.heuristic["type"]}',
            newly='pick, coloured as predicted',
            words=words if len(places) else [f'score {best:.4g}'],
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
