"""Find the class ids of label maps, and describe wrong ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from mmcv.parallel import DataContainer
from numpy.typing import NDArray

from segal.errors import DataError

_NO_CLASS = 255


def as_map(labels: Any) -> NDArray[Any]:
    """Take a label map out of what a step of a pipeline makes of it.

    Args:
        labels: An array, a tensor, or mmcv's container of one.
    """
    if isinstance(labels, DataContainer):
        labels = labels.data
    if isinstance(labels, torch.Tensor):
        labels = labels.numpy()
    return np.asarray(labels)


def ids_in(labels: Any, common: int = 255) -> frozenset[int]:
    """Find the class ids of a label map.

    Args:
        labels: Of any shape and number type; an array, a tensor, or mmcv's
            container of one.
        common: The id that most pixels may have; the count is faster then.
    """
    labels = as_map(labels).reshape(-1)
    rare = labels != common
    count = np.count_nonzero(rare)
    if count < len(labels) // 64:
        # eight at a time: most groups hold nothing but the common id
        whole = len(labels) // 8 * 8
        groups = np.flatnonzero(rare[:whole].view(np.uint64) != 0)
        few = labels[:whole].reshape(-1, 8)[groups].reshape(-1).tolist()
        return frozenset([common, *few, *labels[whole:].tolist()])
    if labels.dtype != np.uint8:
        whole = labels.dtype.kind in 'iu' and labels.size
        # as unsigned numbers, negative ones are large
        if not whole or labels.view(f'u{labels.itemsize}').max() > 255:
            return frozenset(np.unique(labels).tolist())
        labels = labels.astype(np.uint8)
    found = cv2.calcHist([labels], [0], None, [256], [0, 256]).reshape(-1)
    return frozenset(np.flatnonzero(found).tolist())


def named(ids: Iterable[int], classes: Iterable[str] | None) -> str:
    """Write class ids with the names of their classes.

    Args:
        ids: Ids, also those of no class.
        classes: Names of the C classes; None if not known.
    """
    names = dict(enumerate(classes or ()))
    said = [
        f'{number} ({names[number]!r})' if number in names else str(number)
        for number in sorted(ids)
    ]
    return ', '.join(said[:10]) or 'none'


def describe_ids(ids: Sequence[int], classes: int) -> str:
    """Guess what went wrong with an annotation that has wrong ids.

    Args:
        ids: All values of the annotation, sorted.
        classes: Number of classes.

    Returns:
        A part of an error, without a full stop.
    """
    own = [number for number in ids if number != _NO_CLASS]
    said = (
        f'it holds {len(ids)} id{"s" if len(ids) > 1 else ""} where {classes} '
        f'class{"es" if classes > 1 else ""} and void are expected'
    )
    if len(own) > 2 * classes + 1:
        return (
            f'{said}, as many as a picture has: it may have been a JPEG once, '
            'or was resized with interpolation, or is no label map; write it '
            'anew from its original, without loss'
        )
    if own and min(own) == 1 and max(own) == classes:
        return f'{said}, and none of them is 0'
    if 1 < len(ids) <= classes + 1 and own and max(own) > 2 * classes:
        return (
            f'{said}, far apart, like grey values that stand for classes; '
            'write 0, 1, 2, ... in their place, in the order of the classes'
        )
    return said


def check_annotation(
    truth: NDArray[Any],
    path: str,
    key: str,
    size: tuple[int, ...] | None,
    classes: int,
    last: int,
    void: Sequence[int],
) -> None:
    """Check the size, the type and the class ids of an annotation.

    Of ids that are not in ``void`` the largest is ``last``.
    The ``size`` is (H, W) of the image, None where it is not known.

    Raises:
        DataError: The size, the type or an id is wrong.
    """
    if truth.ndim != 2 or (size and truth.shape != tuple(size)):
        raise DataError(
            f'{path}: wanted class ids of the size of the image, (H, W)'
            f'{f" = {tuple(size)}, " if size else ", "}got {truth.shape}'
            f'{colours_in(truth)}; correct {key}.ann_dir, or '
            'convert the annotations'
        )
    if truth.dtype.kind not in 'iub':
        raise DataError(
            f'{path}: wanted whole class ids of 0 to 255, got '
            f'{truth.dtype}; correct the LoadAnnotations of {key}.pipeline'
        )
    ids = sorted(ids_in(truth))
    known = {*range(last + 1), *void}
    odd = [number for number in ids if number not in known]
    if odd:
        raise DataError(
            f'{path}: wanted class ids 0 to {last}, or {void[0]} where '
            f'void, got {odd[:10]} too, at '
            f'{int(np.isin(truth, odd).sum())} pixels: '
            f'{describe_ids(ids, classes)}; correct '
            f'{key}.classes or reduce_zero_label, or convert the annotations'
        )


def colours_in(truth: NDArray[np.generic]) -> str:
    """Explain the shape of an annotation with several channels."""
    if truth.ndim < 3:
        return ''
    return (
        ', colours in place of class ids (for a PNG with a palette, '
        "LoadAnnotations(imdecode_backend='pillow') reads its ids)"
    )


def classes_without_pixels(
    counts: NDArray[np.int64], classes: Sequence[str]
) -> list[str]:
    """List the classes without a pixel.

    Args:
        counts: Pixels of each id, int64 (256,).
        classes: Names of the C classes.
    """
    return [name for name, n in zip(classes, counts, strict=False) if not n]
