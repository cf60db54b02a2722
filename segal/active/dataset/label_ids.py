"""Which class ids a label map holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
import torch
from mmcv.parallel import DataContainer


def ids_in(labels: Any, common: int = 255) -> frozenset[int]:
    """Find the class ids of a label map.

    Args:
        labels: Of any shape and number type; an array, a tensor, or mmcv's
            container of one.
        common: An id that most pixels may have; others are then few, and
            quickly told.
    """
    if isinstance(labels, DataContainer):
        labels = labels.data
    if isinstance(labels, torch.Tensor):
        labels = labels.numpy()
    labels = np.asarray(labels).reshape(-1)
    if labels.dtype != np.uint8:
        whole = labels.dtype.kind in 'iu' and labels.size
        # as unsigned numbers, negative ones are large
        if not whole or labels.view(f'u{labels.itemsize}').max() > 255:
            return frozenset(np.unique(labels).tolist())
        labels = labels.astype(np.uint8)
    rare = labels != common
    count = np.count_nonzero(rare)
    if count < len(labels) // 8:
        found = np.bincount(labels[rare], minlength=256)
        found[common] += len(labels) - count
    else:
        found = cv2.calcHist([labels], [0], None, [256], [0, 256]).reshape(-1)
    return frozenset(np.flatnonzero(found).tolist())


def named(ids: Iterable[int], classes: Iterable[str] | None) -> str:
    """Write class ids with the names of their classes.

    Args:
        ids: Class ids, also such as are no class.
        classes: Names of the C classes; None where they are not known.
    """
    names = dict(enumerate(classes or ()))
    said = [
        f'{number} ({names[number]!r})' if number in names else str(number)
        for number in sorted(ids)
    ]
    return ', '.join(said[:10]) or 'none'
