"""Send made-up labels through each training pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from mmseg.datasets import CustomDataset
from numpy.typing import NDArray

from segal.active.dataset.active_dataset import reads_labels_first
from segal.active.dataset.base import LoadFirst, image_file
from segal.active.label_store.ids import as_map, ids_in, named
from segal.errors import DataError, LabelFlowError
from segal.preflight.alignment import Alignment, Blocks
from segal.preflight.base import Preflight
from segal.seeding import key, seeded

_DRAWS = 32
"""Samples of each pipeline, where an image has ``_PIXELS``."""

_PIXELS = 360 * 480
_FEWEST = 12
_BLOCKS = 8
"""Of so many samples, one has a single labelled pixel, the others blocks."""

_ELSEWHERE = 4
_AGAIN = 8
"""Further samples for a class that was lost."""


PutIn = int | tuple[int, ...] | Blocks
"""One class everywhere, one class at one pixel or none, or blocks."""


def check_label_flow(parts: Preflight, problems: list[str]) -> None:
    """Check that each pipeline of ``data.train`` moves labels and makes none.

    Known label maps replace bought ones: ``ignore_index`` alone, one class
    everywhere, one labelled pixel, half of the classes in blocks that the
    image shows, and, in the pool's, the same places twice, with other classes.
    """
    data = parts.data
    sets: dict[str, Any] = {'data.train': data.view, **data.sources}
    for where, dataset in sets.items():
        first = dataset is data.view or reads_labels_first(dataset)
        if first and len(dataset):
            problems += _faults(
                dataset, where, parts, is_pool=dataset is data.view
            )


def _faults(
    dataset: CustomDataset, where: str, parts: Preflight, is_pool: bool
) -> list[str]:
    """Find the first problem of one pipeline."""
    loader = LoadFirst(dataset, where, hides=is_pool)
    classes, seed = len(parts.data.classes), parts.config.seed

    def draw(number: int, put_in: PutIn) -> frozenset[int]:
        at = index(number)
        blocks = put_in if isinstance(put_in, Blocks) else None
        with seeded(seed, where, 'label flow', number) as again:
            image = loader.load_image(at, blocks.paint if blocks else None)
            size = image['img'].shape[:2]
            labels = _map(size, put_in, parts.config.ignore_index)
            sample = loader.transform(at, image, labels, again=again)
            if blocks:
                alignment.look(sample, blocks, at, again)
        return ids_in(sample.get('gt_semantic_seg', ()))

    def index(number: int) -> int:
        return key(seed, where, number) % len(dataset)

    alignment = Alignment(loader)
    height, width = loader.load_image(index(0))['img'].shape[:2]
    draws = max(_FEWEST, min(_DRAWS, _DRAWS * _PIXELS // (height * width)))
    try:
        for number, put_in in enumerate(_put_in(draws, classes, seed)):
            through = draw(number, put_in)
            if isinstance(put_in, int) and put_in not in through:
                again = range(draws + number, draws + number + _AGAIN)
                if not any(put_in in draw(n, put_in) for n in again):
                    return [_lost(loader, index(number), put_in)]
        for number in range(_ELSEWHERE * is_pool):
            said = _of_elsewhere(loader, index(number), parts)
            if said:
                return [said]
        if alignment.problem:
            return [alignment.problem]
    except LabelFlowError as error:
        return [str(error)]
    except DataError as error:
        if '.pipeline fails on it' not in str(error):
            raise
        return [str(error)]
    return []


def _of_elsewhere(loader: LoadFirst, at: int, parts: Preflight) -> str | None:
    """Find labels of a pipeline that are not those put in.

    A step that reads the truth may keep to classes that were put in. So the
    same places are labelled twice, the second time with the next class each:
    what comes out alike, in an image that was moved alike, is from elsewhere.
    """
    ignore, classes = parts.config.ignore_index, len(parts.data.classes)
    height, width = loader.load_image(at)['img'].shape[:2]
    rows, columns = np.ogrid[:height, :width]
    places = (rows * 8 // height + columns * 8 // width) % 4 == 0  # (H, W)
    one, other = (
        np.where(places, (rows + columns + more) % classes, ignore).astype(
            np.uint8
        )
        for more in (0, 1)
    )
    stages: list[NDArray[Any]] = []

    def remember(labels: NDArray[Any]) -> None:
        stages.append(labels.copy())

    def alike(first: NDArray[Any], second: NDArray[Any]) -> bool:
        if first.shape != second.shape:
            return False
        same = (first == second) & (first != ignore)
        return bool(2 * same.sum() > (first != ignore).sum())

    with seeded(parts.config.seed, loader.key, 'elsewhere', at) as again:
        made = []
        for labels in (one, other):
            again()
            image = loader.load_image(at)
            made.append(loader.transform(at, image, labels.copy()))
        first, second = (as_map(sample['gt_semantic_seg']) for sample in made)
        before, after = (as_map(sample['img']) for sample in made)
        same_moves = np.array_equal(before, after)
        if not same_moves or not alike(first, second):
            return None
        again()
        loader.first_step(at, one, remember)
        again()
        stage = iter(stages)
        step = loader.first_step(at, other, lambda x: alike(next(stage), x))
    return (
        f'{loader.key}.pipeline: {step} writes labels of its own: with other '
        'classes put in at the same places of '
        f'{image_file(loader.dataset, at)}, the same come out; wanted steps '
        'that move labels and make none: let a step that loads annotations '
        'be derived from LoadAnnotations, in the place of LoadAnnotations'
    )


def _put_in(draws: int, classes: int, seed: int) -> Iterator[PutIn]:
    """Yield what to put in: nothing, one class, one pixel, or blocks."""
    rng = np.random.default_rng(key(seed, 'label flow'))
    everywhere = rng.permutation(classes)[: draws // 2]
    yield ()
    yield from everywhere.tolist()
    for number in range(max(_BLOCKS, draws - 1 - len(everywhere))):
        some = rng.permutation(classes)[: max(2, classes // 2)]
        if number % _BLOCKS and len(some) > 1:
            yield Blocks(number, some.astype(np.uint8))
        else:
            yield (int(some[0]),)


def _map(
    size: tuple[int, int], put_in: PutIn, ignore_index: int
) -> NDArray[np.uint8]:
    """Make a label map, uint8 (H, W)."""
    if isinstance(put_in, Blocks):
        return put_in.labels(size)
    if isinstance(put_in, int):
        return np.full(size, put_in, np.uint8)
    labels = np.full(size, ignore_index, np.uint8)
    for one in put_in:
        labels[size[0] // 2, size[1] // 2] = one
    return labels


def _lost(loader: LoadFirst, index: int, lost: int) -> str:
    """Describe a class that never comes through a pipeline."""
    labels = np.full(
        loader.load_image(index)['img'].shape[:2], lost, np.uint8
    )  # (H, W)
    step = loader.first_step(index, labels, lambda x: lost not in ids_in(x))
    return (
        f'{loader.key}.pipeline: {step} loses class id '
        f'{named([lost], loader.dataset.CLASSES)}: put in at every pixel of '
        f'{image_file(loader.dataset, index)}, it never comes out, so that '
        'its labels would be bought and not learned; wanted steps that move '
        'labels, correct it'
    )
