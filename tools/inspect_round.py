"""Print and draw what a round bought.

    python tools/inspect_round.py WORK_DIR [--round K] [--images N] [--out DIR]

Round 0 is the initial labels, round K what was asked on the strength of the
network of round K - 1. Without ``--round``, the last that was asked.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image, ImageOps

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from segal.active.label_store import LabelStore
from segal.errors import DataError, SegALError, StateError
from segal.hooks.pictures import overlay
from segal.hooks.visualize import save, scene_of, sheet_of, slug
from segal.structures import LABELLED, REFUSED, VOID, PoolImage, Selection

BORDER = 0.05
"""How far from the edge a pick counts as at the border, of each side."""


@dataclass
class Pool:
    """What ``pool.json`` says."""

    images: list[PoolImage]
    files: dict[str, Path]
    classes: list[str]
    palette: NDArray[np.uint8]

    def read(self, name: str) -> NDArray[np.uint8]:
        """An image, uint8 (H, W, 3) RGB."""
        try:
            with Image.open(self.files[name]) as picture:
                turned = ImageOps.exif_transpose(picture).convert('RGB')
                return np.asarray(turned)
        except OSError as error:
            raise DataError(
                f'{self.files[name]}: wanted the image {name!r}, got {error}; '
                'put it back, or leave the pictures out with --images 0'
            ) from error


@dataclass
class Bought:
    """What one round bought, pixel by pixel.

    Attributes:
        per_image: name -> how many were asked there.
        by_class: int64 (C,), labels of each class.
        so_far: int64 (C,), the same for all rounds until this one.
        status: How many were labelled, void, refused.
        neighbour: For each image, the mean distance of a pick to its nearest
            neighbour, in pixels, and over what random picks would have.
        pairs: For each image, the mean distance of two picks, over the
            diagonal.
        before: For each image, the mean distance of a pick to the nearest
            older one, in pixels.
        border: For each pick, whether it lies at the border.
    """

    per_image: dict[str, int]
    by_class: NDArray[np.int64]
    so_far: NDArray[np.int64]
    status: dict[int, int]
    neighbour: list[tuple[float, float]] = field(default_factory=list)
    pairs: list[float] = field(default_factory=list)
    before: list[float] = field(default_factory=list)
    border: list[bool] = field(default_factory=list)


def read_pool(work_dir: Path) -> Pool:
    """``work_dir/pool.json``.

    Raises:
        StateError: It is missing or cannot be understood.
    """
    path = work_dir / 'pool.json'
    if not path.is_file():
        raise StateError(
            f'{path}: wanted the work_dir of an experiment, which has this '
            'file; got a folder without it'
            if work_dir.is_dir()
            else f'{work_dir}: wanted the work_dir of an experiment; there is '
            'no such folder'
        )
    try:
        content = json.loads(path.read_text())
        rows = content['images']
        return Pool(
            [PoolImage(row['name'], tuple(row['size'])) for row in rows],
            {row['name']: Path(row['file']) for row in rows},
            list(content['classes']),
            np.asarray(content['palette'], np.uint8).reshape(-1, 3),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise StateError(
            f'{path}: wanted images, classes and palette, got a file that '
            f'cannot be read as that ({type(error).__name__}: {error}); the '
            'next start of the experiment writes it anew'
        ) from error


def gather(store: LabelStore, selection: Selection, pool: Pool) -> Bought:
    """Count and measure what a round bought."""
    count = len(pool.classes)
    zero = np.zeros(count, np.int64)
    bought = Bought({}, zero.copy(), zero.copy(), {})
    for image in pool.images:
        history = store.history(image.name)
        rounds = np.asarray(history.rounds)
        now, until = rounds == selection.round, rounds <= selection.round
        asked = image.name in selection.places
        if selection.unit == 'image':
            if history.whole and until.all():
                labels = np.bincount(
                    store.draw(image.name).ravel(), minlength=256
                )[:count]
                bought.so_far += labels
                bought.by_class += labels * asked
            if asked:
                bought.per_image[image.name] = 1
            continue
        labelled = history.status == LABELLED
        for counts, those in ((bought.by_class, now), (bought.so_far, until)):
            classes = history.classes[those & labelled]
            counts += np.bincount(classes, minlength=count)[:count]
        if asked:
            places = history.places[now]
            bought.per_image[image.name] = len(places)
            older = history.places[until & ~now]
            measure(bought, image.size, places, older)
    counts = store.counts(selection.round)
    bought.status = {
        LABELLED: counts.labelled,
        VOID: counts.void,
        REFUSED: counts.refused,
    }
    return bought


def measure(
    bought: Bought,
    size: tuple[int, int],
    places: NDArray[np.int64],
    older: NDArray[np.int64],
) -> None:
    """How one image's picks lie.

    Source: Donnelly, Simulations to determine the variance and edge-effect of
    total nearest neighbour distance, 1978: what random picks would have.
    """
    height, width = size
    at = np.stack(np.divmod(places, width), 1).astype(np.float64)  # (N, 2)
    margin = np.array([height, width]) * BORDER
    inside = (at >= margin) & (at < np.array([height, width]) - margin)
    bought.border += (~inside.all(1)).tolist()
    count, area = len(at), height * width
    if count > 1:
        nearest = _nearest(at, at, itself=True).mean()
        random = 0.5 * np.sqrt(area / count) + (
            0.0514 + 0.041 / np.sqrt(count)
        ) * (2 * (height + width) / count)
        bought.neighbour.append((float(nearest), float(nearest / random)))
        some = at[:: max(1, count // 500)]
        gaps = np.linalg.norm(some[:, None] - some, axis=2)
        pairs = gaps.sum() / max(1, len(some) * (len(some) - 1))
        bought.pairs.append(float(pairs / np.hypot(height, width)))
    if len(older) and count:
        past = np.stack(np.divmod(older, width), 1).astype(np.float64)
        bought.before.append(float(_nearest(at, past).mean()))


def _nearest(
    at: NDArray[np.float64], others: NDArray[np.float64], itself: bool = False
) -> NDArray[np.float64]:
    """Distance of each point to the nearest of the others, (N,)."""
    found = np.empty(len(at))
    for begin in range(0, len(at), 256):
        part = at[begin : begin + 256]
        gaps = np.linalg.norm(part[:, None] - others, axis=2)  # (n, M)
        if itself:
            rows = np.arange(len(part))
            gaps[rows, begin + rows] = np.inf
        found[begin : begin + 256] = gaps.min(1)
    return found


def describe(
    bought: Bought, selection: Selection, pool: Pool, rounds: int
) -> str:
    """Everything there is to say, in lines."""
    number = selection.round
    when = (
        f'asked after round {number - 1}' if number else 'the initial labels'
    )
    total = sum(bought.status.values())
    lines = [
        f'round {number} of 0 to {rounds - 1}: {when}',
        f'  asked      {len(selection):,} {selection.unit}s'
        f' in {len(bought.per_image):,} of {len(pool.images):,} images',
        f'  answers    {bought.status[LABELLED]:,} pixels labelled, '
        f'{bought.status[VOID]:,} void, {bought.status[REFUSED]:,} refused'
        f' ({_part(bought.status[VOID], total)} void)',
    ]
    if selection.unit == 'pixel' and bought.per_image:
        counts = list(bought.per_image.values())
        lines.append(
            f'  per image  {min(counts):,} / {np.median(counts):g} / '
            f'{max(counts):,} (least / median / most, where any)'
        )
    lines += _spread(bought)
    scores = all_scores(selection)
    lines.append(
        f'  score      {scores.mean():.4g} on average, from '
        f'{scores.min():.4g} to {scores.max():.4g}'
        if len(scores)
        else '  score      none: drawn without a network'
    )
    width = max([5, *map(len, pool.classes)])
    lines += ['', f'  {"class":{width}}  {"labels":>9}  {"share":>7}'
              f'  {"so far":>10}  {"share":>7}']  # fmt: skip
    now, past = bought.by_class, bought.so_far
    lines += [
        f'  {name:{width}}  {now[i]:>9,}  {_part(now[i], now.sum()):>7}'
        f'  {past[i]:>10,}  {_part(past[i], past.sum()):>7}'
        for i, name in enumerate(pool.classes)
    ]
    return '\n'.join(lines)


def _spread(bought: Bought) -> list[str]:
    lines = []
    if bought.neighbour:
        distance, ratio = np.mean(bought.neighbour, axis=0)
        lines.append(
            f'  spread     {distance:.1f} pixels to the nearest other pick, '
            f'{ratio:.2f} of what random picks have (below 1: clustered); '
            f'two picks are {np.mean(bought.pairs):.2f} diagonals apart'
        )
    if bought.before:
        lines.append(
            f'             {np.mean(bought.before):.1f} pixels to the nearest '
            'pick of earlier rounds'
        )
    if bought.border:
        area = 1 - (1 - 2 * BORDER) ** 2
        lines.append(
            f'             {np.mean(bought.border):.0%} in the outer '
            f'{BORDER:.0%} on each side, which is {area:.0%} of the area'
        )
    return lines


def _part(count: int, total: int) -> str:
    return f'{count / total:.1%}' if total else '-'


def all_scores(selection: Selection) -> NDArray[np.float32]:
    """The scores of all picks of a round, float32 (N,)."""
    parts = [np.asarray(part) for part in selection.scores.values()]
    return np.concatenate([np.zeros(0, np.float32), *parts])


def draw_histogram(
    bought: Bought, selection: Selection, pool: Pool, path: Path
) -> None:
    """Labels of each class, the scores, and how the images share them."""
    scores = all_scores(selection)
    high = max(3.6, 0.26 * len(pool.classes) + 1.2)
    figure = Figure(figsize=(11, high), dpi=120, layout='constrained')
    FigureCanvasAgg(figure)
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
        right.hist(scores, bins=40, color='#2563a8')
        right.set_xlabel(f'score of what was asked, mean {scores.mean():.4g}')
    else:
        right.hist(list(bought.per_image.values()), bins=40, color='#2563a8')
        right.set_xlabel('asked in one image (drawn without scores)')
    for axes in (left, right):
        axes.spines[['top', 'right']].set_visible(False)
    figure.savefig(path)


def draw_gallery(
    store: LabelStore,
    selection: Selection,
    pool: Pool,
    folder: Path,
    count: int,
) -> list[Path]:
    """Overlays of some of the images that were asked, evenly spread."""
    asked = [im for im in pool.images if im.name in selection.places]
    number = min(count, len(asked))
    read: Callable[[str], NDArray[np.uint8]] = pool.read
    paths = []
    for i in range(number):
        image = asked[(2 * i + 1) * len(asked) // (2 * number)]
        scene = scene_of(
            image, store, selection.unit, read, pool.classes, pool.palette,
            selection, f'round {selection.round}', until=selection.round,
        )  # fmt: skip
        path = folder / f'{i:02d}_{slug(image.name)}.png'
        paths.append(save(overlay(scene), path))
    if selection.unit == 'image' and number:
        title = f'Images asked in round {selection.round}'
        sheet = sheet_of(selection, read, title)
        paths.append(save(sheet, folder / 'asked.png'))
    return paths


def inspect(
    work_dir: Path, number: int | None, images: int, out: Path | None
) -> str:
    """Do it all.

    Args:
        work_dir: Of an experiment.
        number: Which round; the last where None.
        images: How many overlays to draw.
        out: Folder for the pictures; ``WORK_DIR/inspect/round_003`` where
            None.

    Returns:
        What to print.

    Raises:
        SegALError: No work_dir, or no such round.
    """
    pool = read_pool(work_dir)
    store = LabelStore(work_dir / 'labels', pool.images)
    if not store.rounds:
        raise StateError(
            f'{work_dir / "labels"}: wanted label files, got none: nothing '
            'was bought yet'
        )
    if number is None:
        number = store.rounds - 1
    if not 0 <= number < store.rounds:
        raise StateError(
            f'--round: wanted one of 0 to {store.rounds - 1}, which '
            f'{work_dir} has; got {number}'
        )
    selection = store.selection(number)
    bought = gather(store, selection, pool)
    folder = out or work_dir / 'inspect' / f'round_{number:03d}'
    folder.mkdir(parents=True, exist_ok=True)
    histogram = folder / 'histogram.png'
    draw_histogram(bought, selection, pool, histogram)
    paths = draw_gallery(store, selection, pool, folder, images)
    text = describe(bought, selection, pool, store.rounds)
    drawn = '\n'.join(f'  {path}' for path in [histogram, *paths])
    return f'{text}\n\ndrawn:\n{drawn}'


def main() -> int:
    """Read the arguments, print, and return the exit code."""
    parser = argparse.ArgumentParser(
        description='Print and draw what a round bought.'
    )
    parser.add_argument('work_dir', type=Path, help='of an experiment')
    parser.add_argument(
        '--round', type=int, help='0: the initial labels; default: the last'
    )
    parser.add_argument(
        '--images', type=int, default=6, help='how many overlays to draw'
    )
    parser.add_argument('--out', type=Path, help='folder for the pictures')
    args = parser.parse_args()
    try:
        print(inspect(args.work_dir, args.round, args.images, args.out))
    except SegALError as error:
        print(f'error: {error}', file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == '__main__':
    sys.exit(main())
