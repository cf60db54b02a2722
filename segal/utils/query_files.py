"""What a query of a folder leaves behind: picks, summary and pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import starmap
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from segal.errors import StateError
from segal.files import replace_file, replace_json, unwritable
from segal.hooks.marks import Marks
from segal.hooks.pictures import Scene, contact_sheet, panel
from segal.hooks.visualize import (
    MOST_THUMBNAILS,
    chosen_images,
    save,
    slug,
)
from segal.structures import LABELLED
from segal.utils.query import Query

_QUANTILES = (0, 0.25, 0.5, 0.75, 1)


def check_out(out: Path, folder: Path) -> None:
    """Whether a query may be written there.

    Args:
        out: Where to.
        folder: The images.

    Raises:
        StateError: It is a file, holds something, lies in the folder of the
            images, or cannot be made.
    """
    if out.resolve().is_relative_to(folder.resolve()):
        raise StateError(
            f'--out: wanted a folder outside {folder}, since the pictures '
            f'would be images of the next query; got {out}'
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
        held = sorted(path.name for path in out.iterdir())
    except FileExistsError as error:
        raise StateError(
            f'--out: wanted a folder, or a name for one, got a file ({out}); '
            'name another'
        ) from error
    except OSError as error:
        raise StateError(
            f'--out: {out} cannot be made ({error.strerror or error}); name '
            'another'
        ) from error
    if held:
        raise StateError(
            f'--out: wanted an empty or new folder, got {out} with '
            f'{held[0]!r} in it; name another'
        )


@dataclass(frozen=True)
class Pick:
    """One pixel, or one image, to label.

    Attributes:
        image: Path of the image, seen from the folder.
        row: From the top, from 0; None for a whole image.
        column: From the left, from 0; None for a whole image.
        score: Higher = label first.
        class_id: What it is predicted as; most pixels of a whole image.
        class_name: The name of that.
    """

    image: str
    row: int | None
    column: int | None
    score: float
    class_id: int
    class_name: str


def picks(query: Query) -> list[Pick]:
    """All picks, best first; of equal scores, by image and place."""
    found = [
        pick for name in query.selection.places for pick in _in(query, name)
    ]
    return sorted(
        found, key=lambda p: (-p.score, p.image, p.row or 0, p.column or 0)
    )


def _in(query: Query, name: str) -> Iterator[Pick]:
    """The picks in one image."""
    selection, classes = query.selection, query.maps.get(name)
    path = query.path(name)
    places: list[int | None] = selection.places[name].tolist()
    ids = classes.reshape(-1)[selection.places[name]].tolist()
    if selection.unit == 'image':
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


def write(
    query: Query, out: Path, pictures: int, config: str
) -> dict[str, Any]:
    """Write everything; ``selection.jsonl`` comes last.

    Args:
        query: That was made.
        out: An empty folder.
        pictures: How many images to draw.
        config: The path that was given, for the header.

    Returns:
        The summary.

    Raises:
        StateError: It cannot be written.
    """
    found = picks(query)
    summary = summarise(query, found)
    try:
        (out / 'pictures').mkdir(exist_ok=True)
        draw(query, out / 'pictures', pictures)
    except OSError as error:
        raise StateError(unwritable(out, error)) from error
    replace_json(out / 'summary.json', summary)
    lines = [header(query, config), *starmap(_line, enumerate(found, 1))]
    text = ''.join(json.dumps(line) + '\n' for line in lines)
    replace_file(out / 'selection.jsonl', text)
    return summary


def header(query: Query, config: str) -> dict[str, Any]:
    """The first line of ``selection.jsonl``: where the picks come from."""
    request = query.request
    return dict(
        config=config,
        checkpoint_sha256=query.trained.sha256,
        heuristic=query.heuristic,
        budget=dict(
            amount=request.budget.amount,
            unit=request.unit,
            per_image=request.budget.per_image,
            top_percent=request.top_percent,
        ),
        seed=request.seed,
        classes=list(query.trained.classes),
        images=len(query.pool),
        picks=len(query.selection),
    )


def _line(rank: int, pick: Pick) -> dict[str, Any]:
    return dict(
        image=pick.image,
        row=pick.row,
        column=pick.column,
        score=pick.score,
        class_id=pick.class_id,
        class_name=pick.class_name,
        rank=rank,
    )


def summarise(query: Query, found: list[Pick]) -> dict[str, Any]:
    """What the query came to, in numbers."""
    names = query.trained.classes
    ids = np.array([pick.class_id for pick in found], int)
    counts = np.bincount(ids, minlength=len(names))
    return dict(
        images=len(query.pool),
        images_with_picks=len(query.selection.places),
        picks=len(found),
        unit=query.request.unit,
        heuristic=query.heuristic,
        score_quantiles=_quantiles([pick.score for pick in found]),
        image_mean_score_quantiles=_quantiles(query.means),
        picks_by_class=dict(zip(names, counts.tolist(), strict=True)),
        seconds=round(query.seconds, 3),
        seconds_per_image=round(query.seconds / len(query.pool), 4),
        device=str(query.trained.wrapper.device),
    )


def _quantiles(values: Any) -> dict[str, float]:
    found = np.quantile(np.asarray(values, float), _QUANTILES)
    return {
        f'{share:.0%}': float(f'{value:.6g}')
        for share, value in zip(_QUANTILES, found, strict=True)
    }


def describe(summary: dict[str, Any], out: Path) -> str:
    """The summary, for people."""
    unit = summary['unit'] + 's' * (summary['picks'] != 1)
    counts = summary['picks_by_class']
    present = sorted(
        (name for name in counts if counts[name]), key=lambda x: -counts[x]
    )
    width = max(map(len, present), default=0)

    def ends(values: dict[str, float]) -> str:
        return '  '.join(f'{k} {v:.4g}' for k, v in values.items())

    return '\n'.join(
        [
            f'{summary["picks"]:,} {unit} in {summary["images_with_picks"]:,}'
            f' of {summary["images"]:,} images, by '
            f'{json.dumps(summary["heuristic"])}',
            f'{summary["seconds"]:.1f} s, '
            f'{summary["seconds_per_image"]:.3f} s an image on '
            f'{summary["device"]}',
            '',
            'quantiles',
            f'  scores of the picks   {ends(summary["score_quantiles"])}',
            '  mean score of images  '
            + ends(summary['image_mean_score_quantiles']),
            '',
            'picks by predicted class',
            *(
                f'  {name:{width}}  {counts[name]:>7,}'
                f'  {counts[name] / summary["picks"]:6.1%}'
                for name in present
            ),
            '',
            f'written: {out / "selection.jsonl"}, {out / "summary.json"}, '
            f'{out / "pictures"}',
        ]
    )


@dataclass(frozen=True)
class PickScene(Scene):
    """An image with picks, which nobody has answered yet."""

    score: float = 0.0

    @property
    def summary(self) -> str:
        """How many picks, and the best score."""
        if not len(self.marks):
            return f'{self.when}  ·  score {self.score:.4g}'
        many = 's' * (len(self.marks) != 1)
        return (
            f'{self.when}  ·  {len(self.marks)} pick{many}  ·  best score '
            f'{self.score:.4g}'
        )


def draw(query: Query, folder: Path, count: int) -> None:
    """Picks, prediction and score of some images, evenly spread over all.

    Args:
        query: That was made.
        folder: For the pictures.
        count: How many images.
    """
    selection, trained = query.selection, query.trained
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
        )
        scene = PickScene(
            query.path(name),
            query.pool.read_image(name),
            marks,
            trained.classes,
            palette,
            f'by {query.heuristic["type"]}',
            newly='pick, coloured as predicted',
            score=float(selection.scores[name].max()),
        )
        caption = 'picks' if selection.unit == 'pixel' else ''
        picture = panel(scene, classes, scores[name], caption)
        save(picture, folder / f'{i:02d}_{slug(query.path(name))}.png')
    if selection.unit == 'image':
        save(_sheet(query), folder / 'asked.png')


def _sheet(query: Query) -> Image.Image:
    """The images that were picked, best first."""
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
