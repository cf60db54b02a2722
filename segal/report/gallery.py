"""Draw small pictures of what each heuristic bought, for a page."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from segal.active.label_store.pool_file import open_store
from segal.active.units import unit_of
from segal.errors import DataError
from segal.report.evidence import Evidence
from segal.report.run import Run
from segal.rounds import pictures_dir
from segal.structures import PoolImage, Selection
from segal.visualization.drawing import overlay_scale
from segal.visualization.pictures import labels_on
from segal.visualization.scenes import chosen_images, scene_of

_LONGEST = 800
_QUALITY = 82


@dataclass(frozen=True)
class Picture:
    """A picture with its caption, as a ``data:`` address, (height, width)."""

    caption: str
    source: str
    size: tuple[int, int]


@dataclass(frozen=True)
class Shelf:
    """The pictures of one heuristic, from one run.

    The ``note`` says why pictures are missing or were drawn by the run.
    """

    heuristic: str
    run: str
    pictures: list[Picture]
    note: str = ''


def gallery(evidence: Evidence, count: int = 3) -> list[Shelf]:
    """Draw ``count`` pictures of what the first run of each heuristic bought.

    Runs that ask pixels show the same images for all heuristics; runs that ask
    whole images show some that were asked last.
    """
    return [
        _shelf(name, runs[0], count) for name, runs in evidence.groups.items()
    ]


def _shelf(heuristic: str, run: Run, count: int) -> Shelf:
    note = 'its label files are not there'
    if run.bought is not None:
        try:
            return Shelf(heuristic, run.name, _drawn(run, count))
        except DataError:
            note = 'images of the pool are not as the run found them'
    kept = _kept(run, count)
    words = 'the pictures that the run drew itself' if kept else 'no pictures'
    return Shelf(heuristic, run.name, kept, f'{note}: {words}')


def _drawn(run: Run, count: int) -> list[Picture]:
    """Draw pictures from the label files."""
    store = open_store(run.work_dir, run.pool)
    last = len(run.rows) - 1
    asked = store.selection(last)
    pictures = []
    for image in _to_show(run, asked, count):
        scene = scene_of(
            image, store, run.pool.read, run.pool.classes, run.pool.palette,
            asked, f'round {last}', until=last,
        )  # fmt: skip
        scale = overlay_scale(image.size)
        caption = f'{Path(image.name).name}, {scene.summary}'
        drawn = labels_on(scene, scale, clear=True)
        pictures.append(_picture(drawn, caption))
    return pictures


def _to_show(run: Run, asked: Selection, count: int) -> Sequence[PoolImage]:
    if unit_of(asked).drawn != 'sheet':
        return chosen_images(run.pool.images, count)
    known = {image.name: image for image in run.pool.images}
    return chosen_images([known[name] for name in sorted(asked.places)], count)


def _kept(run: Run, count: int) -> list[Picture]:
    """Load what the run's own hook drew in its last round."""
    folders = sorted((run.work_dir / pictures_dir(run.config)).glob('round_*'))
    found = sorted(folders[-1].glob('*_overlay.png')) if folders else []
    pictures = []
    for path in found[:count]:
        try:
            with Image.open(path) as picture:
                pictures.append(_picture(picture, _caption(path)))
        except OSError:
            continue
    return pictures


def _caption(path: Path) -> str:
    number = path.parent.name.removeprefix('round_').lstrip('0') or '0'
    return f'{path.stem.removesuffix("_overlay")}, after round {number}'


def _picture(picture: Image.Image, caption: str) -> Picture:
    small = picture.convert('RGB')
    small.thumbnail((_LONGEST, _LONGEST), Image.Resampling.LANCZOS)
    data = io.BytesIO()
    small.save(data, 'JPEG', quality=_QUALITY, optimize=True)
    text = base64.b64encode(data.getvalue()).decode()
    source = f'data:image/jpeg;base64,{text}'
    return Picture(caption, source, (small.height, small.width))
