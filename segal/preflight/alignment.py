"""Check that pipelines move images and labels alike."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import cv2
import numpy as np
from mmseg.datasets import CustomDataset
from numpy.typing import NDArray

from segal.active.dataset.base import LoadFirst, image_file
from segal.active.label_store.ids import as_map
from segal.errors import DataError
from segal.hooks.pseudo_labels import WEAK
from segal.preflight.base import content, views_of
from segal.seeding import key, seeded

APART = 0.65
"""Below this agreement, image and labels show other things: 0.5 is chance."""

_SURE = 0.85
"""From this agreement on, they show the same."""

_DEALS = 30
"""Grids to choose from."""

_FEWEST = 16
"""Pixels of each side, for an agreement."""

_OFTEN = 3
"""Samples that must disagree, where none is a flip."""

_SMALL = 64
"""Images with a shorter side get fewer cells."""

FLIPS = {
    'mirrored': np.fliplr,
    'upside down': np.flipud,
    'turned by 180 degrees': lambda x: x[::-1, ::-1],
}

_WEAK_FIRST = 'KeepWeakView stands before a step that moves pixels'

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Blocks:
    """Deal out classes to the cells of a grid, and paint them.

    Attributes:
        number: Of the deal.
        classes: uint8 (K,), class ids; every other one is painted light.
    """

    number: int
    classes: NDArray[np.uint8]

    def labels(self, size: tuple[int, int]) -> NDArray[np.uint8]:
        """Make the label map of an image: uint8 (H, W)."""
        return self.classes[cells(self.number, size, len(self.classes))]

    def paint(self, image: NDArray[Any]) -> NDArray[Any]:
        """Make an image of the same layout, like a given one."""
        groups = cells(self.number, image.shape[:2], len(self.classes))
        return two_tone(image, groups % 2 == 1)

    def sides(self, labels: Any) -> tuple[Bools, Bools]:
        """Find what should be light and what dark: two of bool (h, w)."""
        labels = np.squeeze(as_map(labels))
        return (
            np.isin(labels, self.classes[1::2]),
            np.isin(labels, self.classes[::2]),
        )


def cells(
    number: int,
    size: tuple[int, int],
    groups: int,
    painted: tuple[int, int] | None = None,
) -> NDArray[Any]:
    """Deal out the cells of a grid over an image to groups.

    Args:
        number: Of the deal.
        size: Of the image, (H, W).
        groups: How many there are.
        painted: The size that the image had when it was painted; None: this.

    Returns:
        int64 (H, W), the group of each pixel, from 0.
    """
    height, width = size
    coarse = min(painted or size) < _SMALL
    grid = _grid(number, 4 if coarse else 8, groups)
    side = len(grid)
    rows = np.arange(height)[:, None] * side // height
    columns = np.arange(width)[None] * side // width
    return grid[rows, columns]


@functools.cache
def _grid(number: int, side: int, groups: int) -> NDArray[np.int64]:
    """Deal out the cells of a grid so that no flip looks like it."""
    rng = np.random.default_rng(key('cells', number))
    order = np.arange(side**2) % groups
    deals = [rng.permutation(order).reshape(side, side) for _ in range(_DEALS)]

    def likeness(grid: NDArray[np.int64]) -> float:
        light = grid % 2 == 1
        flips = (_accuracy(flip(light), light) for flip in FLIPS.values())
        return max(abs(flip - 0.5) for flip in flips)

    return min(deals, key=likeness)


def _accuracy(found: Bools, wanted: Bools) -> float:
    """Compute the accuracy, mean of both sides; chance is 0.5."""
    return float(found[wanted].mean() + (~found)[~wanted].mean()) / 2


def two_tone(image: NDArray[Any], light: Bools) -> NDArray[Any]:
    """Make an image like another one, light (bool (H, W)) and dark."""
    low, high = 64, 192
    if image.dtype != np.uint8:
        known = image[np.isfinite(image)]
        low, high = known.min(), known.max()
    painted = np.full_like(image, low)
    painted[light] = high
    return painted


def agreement(image: Any, light: Bools, dark: Bools) -> float | None:
    """Measure whether pixels are light where they should be.

    Args:
        image: Of a sample: (C, h, w), (h, w, C) or (h, w); an array, a
            tensor, or mmcv's container of one.
        light: bool (h, w), pixels that should be light; or, where a step
            turns brightness round, dark.
        dark: bool (h, w), the others; neither, where nothing is known.

    Returns:
        Accuracy, mean of both sides, from 0.5 (chance) to 1; None where too
        little is to be seen.
    """
    values = np.asarray(content(image), float)
    if values.ndim == 3:
        last = values.shape[:2] == light.shape
        values = values.mean(2 if last else 0)
    if values.shape != light.shape or not np.isfinite(values).all():
        return None
    around = np.ones((3, 3), np.uint8)
    clear = [
        one & (cv2.dilate(other.astype(np.uint8), around) == 0)
        for one, other in ((light, dark), (dark, light))
    ]
    if min(map(np.count_nonzero, clear)) < _FEWEST:
        return None
    known = clear[0] | clear[1]
    low, high = np.percentile(values[known], (10, 90))
    if high - low <= 1e-6 * max(abs(low), abs(high)):
        return None
    right = _accuracy(values[known] > (low + high) / 2, clear[0][known])
    return max(right, 1 - right)


def moved(image: Any, light: Bools, dark: Bools) -> str | None:
    """Name the flip that an image has beside its labels; None: no flip."""
    for name, flip in FLIPS.items():
        agrees = agreement(image, flip(light), flip(dark))
        if agrees is not None and agrees >= _SURE:
            return name
    return None


@dataclass
class Alignment:
    """Look at samples of a pipeline until image and labels lie apart.

    Attributes:
        problem: What is wrong; empty: nothing so far.
    """

    loader: LoadFirst
    problem: str = ''
    _seen: int = 0
    _apart: int = 0
    _example: str = ''

    def look(
        self,
        sample: Mapping[str, Any],
        blocks: Blocks,
        index: int,
        again: Callable[[], None],
    ) -> None:
        """Look at one sample of an image that was painted as its labels are.

        Flips are told from one sample. What merely differs, as where much is
        cut out of the image alone, is a fault in most samples.

        Args:
            sample: Of the training pipeline.
            blocks: What was put in.
            index: Of the image in the data set.
            again: Resets the random generators to the state before.
        """
        if 'gt_semantic_seg' not in sample or 'img' not in sample:
            return
        light, dark = blocks.sides(sample['gt_semantic_seg'])
        for name in ('img', WEAK):
            image = sample.get(name)
            agrees = None if image is None else agreement(image, light, dark)
            if agrees is None:
                continue
            self._seen += 1
            if agrees >= APART:
                continue
            self._apart += 1
            if name == WEAK:
                step, flip = _WEAK_FIRST, moved(image, light, dark)
            else:
                step, flip = self._step(blocks, index, again)
            if flip or not self._example:
                self._example = self._describe(index, step, flip)
            often = self._apart >= _OFTEN and 2 * self._apart > self._seen
            if flip or often:
                self.problem = self._example

    def _describe(self, index: int, step: str, flip: str | None) -> str:
        """Describe labels that lie elsewhere than in their image."""
        how = f', which is {flip},' if flip else ','
        return (
            f'{self.loader.key}.pipeline: {step}: the labels of '
            f'{image_file(self.loader.dataset, index)} lie elsewhere than in '
            f'the image{how} so that the network would learn them at other '
            'places; wanted steps that move images and labels alike: let it '
            "move all of results['seg_fields'] and results['img_fields'], "
            'and stand behind LoadAnnotations'
        )

    def _step(
        self, blocks: Blocks, index: int, again: Callable[[], None]
    ) -> tuple[str, str | None]:
        """Name the first step that moves one of the two alone, and a flip.

        A flip is told there, before later steps cut the image.
        """
        again()
        results = self.loader.load_image(index, blocks.paint)
        labels = blocks.labels(results['img'].shape[:2])
        stages = self.loader.stages(index, results, labels)
        before = 'a step before LoadAnnotations moves the image alone'
        for step, image, found in chain(
            [(before, results['img'], labels)],
            ((f'{name} moves one of the two alone', made.get('img'),
              made['gt_semantic_seg']) for name, made in stages),
        ):  # fmt: skip
            sides = blocks.sides(found)
            agrees = agreement(image, *sides)
            if agrees is not None and agrees < APART:
                return step, moved(image, *sides)
        return 'a step moves one of the two alone', None


def check_whole_views(key: str, dataset: Any, problems: list[str]) -> None:
    """Check that query or evaluation see each pixel where it lies.

    mmseg lays predictions over the whole image, so a pipeline that flips or
    shifts it, the same each time, gives each place the scores of another.
    """
    if not isinstance(dataset, CustomDataset) or not len(dataset):
        return
    loader = LoadFirst(dataset, key)

    def paint(image: NDArray[Any]) -> NDArray[Any]:
        return two_tone(image, cells(0, image.shape[:2], 2) == 1)

    try:
        with seeded('whole views'):
            results = loader.load_image(0, paint)
            size = results['img'].shape[:2]
            sample = loader.transform(0, results, np.zeros(size, np.uint8))
        for image, meta in views_of(sample):
            light = lies = cells(0, image.shape[1:], 2, size) == 1
            if meta.get('flip'):
                turn = meta.get('flip_direction') == 'vertical'
                light = (np.flipud if turn else np.fliplr)(lies)
            agrees = agreement(image, light, ~light)
            if agrees is None or agrees >= APART:
                continue
            how = moved(image, light, ~light) or 'moved'
            mend = 'take out the step that moves it'
            stays = agreement(image, lies, ~lies)
            if meta.get('flip') and stays is not None and stays >= _SURE:
                how = 'as it lies, called flipped, and turned back later'
                mend = (
                    "write dict(type='RandomFlip') among the transforms of "
                    'MultiScaleFlipAug, or flip=False'
                )
            problems.append(
                f'{key}.pipeline: wanted each pixel of an image where it '
                f'lies; got the image {how}, so that scores and '
                f'predictions would lie at other places; {mend}'
            )
            return
    except (DataError, LookupError, TypeError, AttributeError, ValueError):
        return  # reported with the samples
