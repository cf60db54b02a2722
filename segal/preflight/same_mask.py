"""Compare annotations as training and as the evaluation read them."""

from __future__ import annotations

import copy
import os.path as osp
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from mmseg.datasets import CustomDataset
from mmseg.datasets.pipelines import LoadAnnotations
from numpy.typing import NDArray

from segal.active.dataset.base import LoadFirst
from segal.errors import DataError
from segal.preflight.base import Preflight
from segal.seeding import key

_FILES = 4
"""Most files of each data set that are compared."""

_MOST = 32
_PIXELS = 10_000_000
"""Most files and pixels that are compared until every class was seen."""


def check_same_mask(parts: Preflight, problems: list[str]) -> None:
    """Check that training and the evaluation read annotations alike.

    A prediction equal to the labels that training reads must be perfect for
    the evaluation. A few annotations of the pool and of ``data.val``, drawn
    by a key, are compared, and more until each class was seen; missing
    ones are left out.
    """
    data, seed = parts.data, parts.config.seed
    val = data.val
    if not isinstance(val, CustomDataset) or not hasattr(val, 'pre_eval'):
        return
    classes = tuple(data.classes)
    if tuple(val.CLASSES or ()) != classes:
        return  # reported where names are compared
    loader = LoadFirst(data.view, 'data.train')
    own_reader = type(loader.reader).__call__ is not LoadAnnotations.__call__
    if own_reader and _format(data.view) != _format(val):
        return  # each format has its own reader, which is right
    for dataset, where in ((val, 'data.val'), (data.view, 'data.train')):
        learned = np.zeros(len(classes), np.int64)
        for number, info in enumerate(_handful(dataset, seed)):
            enough = learned.all() or learned.sum() > _PIXELS
            if number >= _FILES and enough:
                break
            pair = _pair(dataset, data.view, val, info)
            found = pair and _compare(loader, val, dataset, *pair, learned)
            if found:
                problems.append(f'{where}: {found}')
                return


def _handful(dataset: CustomDataset, seed: int) -> list[dict[str, Any]]:
    """Draw the infos of a few images with annotations, by a key."""
    known = [info for info in dataset.img_infos if 'ann' in info]
    known.sort(key=lambda info: key(seed, 'same mask', info['filename']))
    return known[:_MOST]


def _format(dataset: CustomDataset) -> bytes | None:
    """Read the first bytes of an annotation: they tell PNG from JPEG."""
    for info in dataset.img_infos[:1]:
        name = info.get('ann', {}).get('seg_map', '')
        with (
            suppress(OSError),
            open(osp.join(dataset.ann_dir or '', name), 'rb') as file,
        ):
            return file.read(4)
    return None


def _pair(
    dataset: CustomDataset,
    view: CustomDataset,
    val: CustomDataset,
    info: dict[str, Any],
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Pair the files that training and ``data.val`` read for an image.

    It is one file where both have the same suffix, else two files in one
    folder. There is none where the pool and ``data.val`` have different
    formats, each with its own reader.
    """
    other = val if dataset is view else view
    own, theirs = dataset.seg_map_suffix, other.seg_map_suffix
    second = info
    if own != theirs:
        if not isinstance(own, str) or not isinstance(theirs, str):
            return None
        renamed = info['ann']['seg_map'].removesuffix(own) + theirs
        if not osp.isfile(osp.join(dataset.ann_dir or '', renamed)):
            return None
        second = {**info, 'ann': {**info['ann'], 'seg_map': renamed}}
    return (info, second) if dataset is view else (second, info)


def _compare(
    loader: LoadFirst,
    val: CustomDataset,
    dataset: CustomDataset,
    ours: dict[str, Any],
    theirs: dict[str, Any],
    learned: NDArray[np.int64],
) -> str | None:
    """Compare two readings of one file; None where they are alike.

    Args:
        loader: Of the training pipeline.
        val: Evaluates.
        dataset: Whose file it is.
        ours: Info of the image for training.
        theirs: The same for the evaluation.
        learned: Pixels of each class, int64 (C,); those of the file are
            added.
    """
    folder = dataset.ann_dir
    path = osp.join(folder or '', ours['ann']['seg_map'])
    try:
        truth = loader.read_annotation(ours, folder)
    except DataError:
        return None  # missing or broken; reported where it is needed
    if truth.ndim != 2:
        return None  # colours; reported where it is needed
    count = len(val.CLASSES)
    judge = copy.copy(val)
    judge.img_infos = [theirs]
    judge.img_dir, judge.ann_dir = dataset.img_dir, folder
    known = truth < count  # (H, W), a class
    prediction = np.where(known, truth, 0).astype(np.int64)
    try:
        counted = judge.pre_eval(prediction, 0)[0]
        hits, _, _, labels = (np.asarray(x, np.int64) for x in counted)
    except Exception as error:
        return (
            f'{path}: training reads class ids from it, and the evaluation '
            f'cannot ({type(error).__name__}: {error}); correct '
            'gt_seg_map_loader_cfg of data.val, so that it reads what '
            "LoadAnnotations of data.train's pipeline does"
        )
    trained = np.bincount(prediction[known], minlength=count)  # (C,)
    learned += trained
    if np.array_equal(hits, trained) and np.array_equal(labels, trained):
        return None
    second = osp.join(folder or '', theirs['ann']['seg_map'])
    return (
        f'{path}: training and the evaluation read other class ids from '
        f'{"it" if path == second else f"it and from {second}"}. Training: '
        f'{_pixels_in_words(trained, val.CLASSES)}. Evaluation: '
        f'{_pixels_in_words(labels, val.CLASSES)}; {int(hits.sum())} of '
        f'{int(labels.sum())} pixels agree. Give reduce_zero_label, classes, '
        'seg_map_suffix and the backend of LoadAnnotations the same meaning '
        'in data.train (its pipeline, too) and in data.val'
    )


def _pixels_in_words(counts: NDArray[np.int64], classes: Sequence[str]) -> str:
    """List the pixels of each class that occurs."""
    some = ', '.join(
        f'{name} {count}'
        for name, count in zip(classes, counts, strict=False)
        if count
    )
    return f'pixels of {some}' if some else 'no pixel of any class'
