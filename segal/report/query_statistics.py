"""Count and measure what a round bought."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree
from scipy.spatial.distance import pdist

from segal.active.label_store.store import LabelStore
from segal.structures import LABELLED, REFUSED, VOID, PoolImage, Selection

BORDER = 0.05
"""Width of the border, as a share of each side of the image."""


@dataclass
class Bought:
    """Counts and distances of the pixels that one round bought.

    Attributes:
        per_image: name -> how many were asked there.
        by_class: int64 (C,), labels of each class.
        so_far: int64 (C,), labels of each class until this round.
        status: Status -> how many answers have it.
        neighbour: For each image, the mean distance from a pick to its
            nearest neighbour, in pixels, and as a ratio to random picks.
        pairs: For each image, the mean distance of two picks, as a share of
            the diagonal.
        before: For each image, the mean distance from a pick to the nearest
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


def gather(
    store: LabelStore,
    selection: Selection,
    pool: Sequence[PoolImage],
    classes: int,
) -> Bought:
    """Count and measure what a round bought."""
    number = selection.round
    counts = [store.class_counts(k)[:classes] for k in range(number + 1)]
    bought = Bought({}, counts[number], np.sum(counts, 0), {})
    for image in pool:
        history = store.history(image.name)
        now, until = history.rounds == number, history.rounds <= number
        if image.name in selection.places:
            bought.per_image[image.name] = max(1, int(now.sum()))
        if now.any():
            older = history.places[until & ~now]
            measure(bought, image.size, history.places[now], older)
    answers = store.counts(number)
    bought.status = {
        LABELLED: answers.labelled,
        VOID: answers.void,
        REFUSED: answers.refused,
    }
    return bought


def measure(
    bought: Bought,
    size: tuple[int, int],
    places: NDArray[np.int64],
    older: NDArray[np.int64],
) -> None:
    """Measure how one image's picks are spread.

    Source for random picks: Donnelly, Simulations to determine the variance
    and edge-effect of total nearest neighbour distance, 1978.
    """
    height, width = size
    at = np.stack(np.divmod(places, width), 1).astype(np.float64)  # (N, 2)
    margin = np.array([height, width]) * BORDER
    inside = (at >= margin) & (at < np.array([height, width]) - margin)
    bought.border += [not row.all() for row in inside]
    count, area = len(at), height * width
    if count > 1:
        nearest = KDTree(at).query(at, k=2)[0][:, 1].mean()
        random = 0.5 * np.sqrt(area / count) + (
            0.0514 + 0.041 / np.sqrt(count)
        ) * (2 * (height + width) / count)
        bought.neighbour.append((float(nearest), float(nearest / random)))
        some = at[:: max(1, count // 500)]
        pairs = pdist(some).mean() / np.hypot(height, width)
        bought.pairs.append(float(pairs))
    if len(older) and count:
        past = np.stack(np.divmod(older, width), 1).astype(np.float64)
        bought.before.append(float(KDTree(past).query(at)[0].mean()))


def describe(
    bought: Bought,
    selection: Selection,
    images: int,
    classes: Sequence[str],
    rounds: int,
) -> str:
    """Describe what a round bought, in several lines of text."""
    number = selection.round
    when = (
        f'asked after round {number - 1}' if number else 'the initial labels'
    )
    total = sum(bought.status.values())
    lines = [
        f'round {number} of 0 to {rounds - 1}: {when}',
        f'  asked      {len(selection):,} {selection.unit}s'
        f' in {len(bought.per_image):,} of {images:,} images'
        f'{_regions(selection)}',
        f'  answers    {bought.status[LABELLED]:,} pixels labelled, '
        f'{bought.status[VOID]:,} void, {bought.status[REFUSED]:,} refused'
        f' ({_part(bought.status[VOID], total)} void)',
    ]
    if not selection.whole and bought.per_image:
        counts = list(bought.per_image.values())
        lines.append(
            f'  per image  {min(counts):,} / {np.median(counts):g} / '
            f'{max(counts):,} (least / median / most, where any)'
        )
    if not selection.regions:
        lines += _spread(bought)
    scores = all_scores(selection)
    lines.append(
        f'  score      {scores.mean():.4g} on average, from '
        f'{scores.min():.4g} to {scores.max():.4g}'
        if len(scores)
        else '  score      none: drawn without a network'
    )
    width = max([5, *map(len, classes)])
    lines += ['', f'  {"class":{width}}  {"labels":>9}  {"share":>7}'
              f'  {"so far":>10}  {"share":>7}']  # fmt: skip
    now, past = bought.by_class, bought.so_far
    lines += [
        f'  {name:{width}}  {now[i]:>9,}  {_part(now[i], now.sum()):>7}'
        f'  {past[i]:>10,}  {_part(past[i], past.sum()):>7}'
        for i, name in enumerate(classes)
    ]
    return '\n'.join(lines)


def _regions(selection: Selection) -> str:
    """Say how many regions were asked and how each is answered."""
    if not selection.regions:
        return ''
    answer = dict(all='every pixel', dominant='one class')[selection.answer]
    return f': {selection.region_count:,} regions, {answer} of each'


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
    """Return the scores of all picks of a round, float32 (N,).

    Empty for the initial labels, whose scores are random draws.
    """
    if selection.round == 0:
        return np.zeros(0, np.float32)
    parts = [np.asarray(part) for part in selection.scores.values()]
    return np.concatenate([np.zeros(0, np.float32), *parts])
