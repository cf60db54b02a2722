"""Send made-up labels through each training pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from mmseg.datasets import CustomDataset
from numpy.typing import NDArray

from segal.active.dataset.active_dataset import reads_labels_first
from segal.active.dataset.base import LoadFirst, image_file
from segal.active.label_store.ids import ids_in, named
from segal.errors import DataError, LabelFlowError
from segal.preflight.base import Preflight
from segal.seeding import key, seeded

_DRAWS = 32
"""Samples of each pipeline, where an image has ``_PIXELS``."""

_PIXELS = 360 * 480
_FEWEST = 12
_AGAIN = 8
"""Further samples for a class that was lost."""


def check_label_flow(parts: Preflight, problems: list[str]) -> None:
    """Check that each pipeline of ``data.train`` moves labels and makes none.

    Known label maps replace bought ones: ``ignore_index`` alone, one class
    everywhere, one labelled pixel, half of the classes in blocks.

    Args:
        parts: The experiment.
        problems: Gets one for each pipeline that writes a class id that was
            not put in, or loses a class.
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
    loader = LoadFirst(dataset, where)
    classes, seed = len(parts.data.classes), parts.config.seed

    def draw(number: int, labels: NDArray[np.uint8]) -> frozenset[int]:
        at = index(number)
        with seeded(seed, where, 'label flow', number) as again:
            image = loader.load_image(at)
            sample = loader.transform(at, image, labels, again=again)
        return ids_in(sample.get('gt_semantic_seg', ()))

    def index(number: int) -> int:
        return key(seed, where, number) % len(dataset)

    def size(number: int) -> tuple[int, int]:
        return loader.load_image(index(number))['img'].shape[:2]

    height, width = size(0)
    draws = max(_FEWEST, min(_DRAWS, _DRAWS * _PIXELS // (height * width)))
    try:
        for number, put_in in enumerate(_put_in(draws, classes, seed)):
            labels = _map(size(number), put_in, parts.config.ignore_index)
            through = draw(number, labels)
            if isinstance(put_in, int) and put_in not in through:
                again = range(draws + number, draws + number + _AGAIN)
                if not any(
                    put_in in draw(n, np.full(size(n), put_in, np.uint8))
                    for n in again
                ):
                    return [_lost(loader, index(number), put_in)]
    except LabelFlowError as error:
        return [str(error)]
    except DataError as error:
        if '.pipeline fails on it' not in str(error):
            raise
        return [str(error)]
    return _reads_annotations(loader, index(0)) if is_pool else []


def _reads_annotations(loader: LoadFirst, index: int) -> list[str]:
    """Refuse a pipeline of the pool that reads annotation files.

    Steps of the pool's pipeline do not get the path of an annotation: they
    could only read labels that were not bought.
    """
    image = loader.load_image(index)
    image.update(img_info=dict(filename=image['ori_filename']), ann_info={})
    image.pop('seg_prefix', None)
    labels = np.zeros(image['img'].shape[:2], np.uint8)
    try:
        with seeded(0, loader.key) as again:
            loader.transform(index, image, labels, again=again)
    except DataError as error:
        return [
            f'{error}. It asks where the annotation of the image lies; '
            'bought labels are written behind LoadAnnotations, and others '
            'are not to be read: derive a step that reads annotations from '
            'LoadAnnotations, and put it in the place of LoadAnnotations'
        ]
    return []


def _put_in(
    draws: int, classes: int, seed: int
) -> Iterator[int | NDArray[np.uint8]]:
    """Yield label maps to make: one class, or classes to deal out."""
    rng = np.random.default_rng(key(seed, 'label flow'))
    everywhere = rng.permutation(classes)[: draws // 2]
    yield np.zeros(0, np.uint8)
    yield from everywhere.tolist()
    for number in range(draws - 1 - len(everywhere)):
        some = rng.permutation(classes)[: max(1, classes // 2)]
        if number % 4 == 0:
            some = some[:1]
        yield some.astype(np.uint8)


def _map(
    size: tuple[int, int],
    put_in: int | NDArray[np.uint8],
    ignore_index: int,
) -> NDArray[np.uint8]:
    """Make a label map, uint8 (H, W).

    One class to deal out stands at a single pixel, several stand in blocks.
    """
    if isinstance(put_in, int):
        return np.full(size, put_in, np.uint8)
    labels = np.full(size, ignore_index, np.uint8)
    if len(put_in) == 1:
        labels[size[0] // 2, size[1] // 2] = put_in[0]
    elif len(put_in):
        rows = np.arange(size[0])[:, None] * 8 // size[0]  # (H, 1)
        columns = np.arange(size[1]) * 8 // size[1]  # (W,)
        labels = put_in[(rows * 5 + columns * 3) % len(put_in)]
    return labels


def _lost(loader: LoadFirst, index: int, lost: int) -> str:
    """Describe a class that never comes through a pipeline."""
    labels = np.full(
        loader.load_image(index)['img'].shape[:2], lost, np.uint8
    )  # (H, W)
    step = loader.first_step(index, labels, lambda ids: lost not in ids)
    return (
        f'{loader.key}.pipeline: {step} loses class id '
        f'{named([lost], loader.dataset.CLASSES)}: put in at every pixel of '
        f'{image_file(loader.dataset, index)}, it never comes out, so that '
        'its labels would be bought and not learned; wanted steps that move '
        'labels, correct it'
    )
