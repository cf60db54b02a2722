"""List the picks of a folder query, and draw them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
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


def picks(query: Query) -> list[dict[str, Any]]:
    """List all picks, best first; equal scores by image and place.

    Returns:
        Of each pick the path of its ``image`` in the folder, ``row`` and
        ``column`` from 0 (None for a whole image, and for a region),
        ``score``, and ``class_id`` and ``class_name`` that are predicted for
        it, or for most of its pixels. A region also has its value in the map
        of its image (``region``), the path of that ``map`` in the output, a
        ``box`` of first row, first column, last row and last column, and its
        number of ``pixels``.
    """
    found = [
        pick for name in query.selection.places for pick in _in(query, name)
    ]
    return sorted(found, key=_order)


def _order(pick: dict[str, Any]) -> tuple[Any, ...]:
    """Return the sort key: best first, then image and place."""
    place = pick.get('box') or (pick['row'] or 0, pick['column'] or 0)
    return (-pick['score'], pick['image'], *place)


def _in(query: Query, name: str) -> Iterator[dict[str, Any]]:
    """List the picks in one image."""
    selection, classes = query.selection, query.maps.get(name)
    places, scores = selection.places[name], selection.scores[name]
    ids, width = classes.reshape(-1), classes.shape[1]
    if selection.whole:
        most = int(np.bincount(ids).argmax())
        yield _pick(query, name, None, None, scores[0], most)
        return
    if not query.request.asks.grouped:
        for place, score in zip(places.tolist(), scores, strict=True):
            row, column = divmod(place, width)
            yield _pick(query, name, row, column, score, int(ids[place]))
        return
    region = selection.regions[name]
    order = np.argsort(region, kind='stable')
    ends = np.flatnonzero(np.diff(region[order])) + 1
    for number, one in enumerate(np.split(order, ends), 1):
        mine = places[one]
        rows, columns = np.divmod(mine, width)
        box = rows.min(), columns.min(), rows.max(), columns.max()
        most = int(np.bincount(ids[mine]).argmax())
        yield _pick(query, name, None, None, scores[one[0]], most) | dict(
            region=number,
            map=map_of(query, name),
            box=[int(side) for side in box],
            pixels=len(mine),
        )


def _pick(
    query: Query,
    name: str,
    row: int | None,
    column: int | None,
    score: np.float32,
    class_id: int,
) -> dict[str, Any]:
    return dict(
        image=query.path(name),
        row=row,
        column=column,
        score=float(f'{score:.9g}'),  # all that float32 holds
        class_id=class_id,
        class_name=query.trained.classes[class_id],
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
