"""Draw what a round bought, and describe it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from segal.active.label_store.pool_file import PoolFile, open_store, read_pool
from segal.active.label_store.store import LabelStore
from segal.active.units import unit_of
from segal.errors import StateError
from segal.report.query_statistics import Bought, all_scores, describe, gather
from segal.structures import Selection
from segal.visualization.pictures import overlay
from segal.visualization.scenes import (
    chosen_images,
    save,
    scene_of,
    sheet_of,
    slug,
)


def draw_histogram(
    bought: Bought, selection: Selection, pool: PoolFile, path: Path
) -> None:
    """Draw the labels of each class, and the scores or labels per image."""
    scores = all_scores(selection)
    high = max(3.6, 0.26 * len(pool.classes) + 1.2)
    figure = Figure(figsize=(11, high), dpi=120, layout='constrained')
    figure.suptitle(
        f'What round {selection.round} bought', x=0.01, ha='left',
        fontweight='bold',
    )  # fmt: skip
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    at = np.arange(len(pool.classes))
    for counts, shift, colour, words in (
        (bought.by_class, -0.2, None, 'this round'),
        (bought.so_far, 0.2, '#c9ced6', 'all rounds so far'),
    ):
        share = 100 * counts / max(1, counts.sum())
        fill = pool.palette[: len(at)] / 255 if colour is None else colour
        left.barh(
            at + shift, share, 0.4, color=fill, edgecolor='#3a3f47',
            linewidth=0.5, label=words,
        )  # fmt: skip
        if colour is None:
            for i, count in enumerate(counts):
                left.annotate(
                    f'{count:,}', (share[i], at[i] + shift), xytext=(4, 0),
                    textcoords='offset points', va='center', fontsize=7.5,
                )  # fmt: skip
    left.set_yticks(at, pool.classes)
    left.invert_yaxis()
    left.set_xlabel('share of labels (%); figures: labels of this round')
    left.legend(loc='lower right', frameon=False, fontsize=8)
    if len(scores):
        right.hist(scores, bins=24, color='#2563a8')
        right.set_xlabel(f'score of what was asked, mean {scores.mean():.4g}')
    else:
        right.hist(list(bought.per_image.values()), bins=24, color='#2563a8')
        right.set_xlabel('asked in one image (drawn without scores)')
    for axes in (left, right):
        axes.spines[['top', 'right']].set_visible(False)
    figure.savefig(path)


def draw_gallery(
    store: LabelStore,
    selection: Selection,
    pool: PoolFile,
    folder: Path,
    count: int,
) -> list[Path]:
    """Draw some of the images that were asked, evenly spread."""
    asked = [im for im in pool.images if im.name in selection.places]
    paths = []
    for i, image in enumerate(chosen_images(asked, count)):
        scene = scene_of(
            image, store, pool.read, pool.classes, pool.palette,
            selection, f'round {selection.round}', until=selection.round,
        )  # fmt: skip
        path = folder / f'{i:02d}_{slug(image.name)}.png'
        paths.append(save(overlay(scene), path))
    if unit_of(selection).drawn == 'sheet' and paths:
        title = f'Images asked in round {selection.round}'
        sheet = sheet_of(selection, pool.read, title)
        paths.append(save(sheet, folder / 'asked.png'))
    return paths


def inspect(
    work_dir: Path, number: int | None, images: int, out: Path | None
) -> str:
    """Draw what a round bought, and describe it.

    Args:
        work_dir: Of an experiment.
        number: Of the round; None: the last one.
        images: How many overlays to draw.
        out: Folder for the pictures; ``WORK_DIR/inspect/round_003`` where
            None.

    Returns:
        What to print.

    Raises:
        SegALError: No work_dir, or no such round.
    """
    pool = read_pool(work_dir)
    store = open_store(work_dir, pool)
    if number is None:
        number = store.rounds - 1
    if not 0 <= number < store.rounds:
        raise StateError(
            f'--round: wanted one of 0 to {store.rounds - 1}, which '
            f'{work_dir} has; got {number}'
        )
    selection = store.selection(number)
    bought = gather(store, selection, pool.images, len(pool.classes))
    folder = out or work_dir / 'inspect' / f'round_{number:03d}'
    folder.mkdir(parents=True, exist_ok=True)
    histogram = folder / 'histogram.png'
    draw_histogram(bought, selection, pool, histogram)
    paths = draw_gallery(store, selection, pool, folder, images)
    text = describe(
        bought, selection, len(pool.images), pool.classes, store.rounds
    )
    drawn = '\n'.join(f'  {path}' for path in [histogram, *paths])
    return f'{text}\n\ndrawn:\n{drawn}'
