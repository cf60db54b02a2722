"""Name classes without labels, and classes that mIoU leaves out.

mmseg's mean is over the classes that occur in ``data.val`` or in the
predictions; another one is NaN, and leaves the mean without a word. The
number stays mmseg's; here is what it does not speak of.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from segal.active.label_store.store import LabelStore


def unlabelled_classes(store: LabelStore, classes: int) -> list[int]:
    """List the ids of the classes without a bought label."""
    missing = set(range(classes))
    for number in range(store.rounds):
        if missing:  # else no further label map is read
            counts = store.class_counts(number)
            missing -= set(np.flatnonzero(counts).tolist())
    return sorted(missing)


def absent_classes(
    metrics: Mapping[str, Any],
    classes: Sequence[str],
    unlabelled: Sequence[int],
) -> dict[str, list[str]]:
    """List the missing classes for a row of ``rounds.json``.

    Args:
        metrics: Of an evaluation, as mmseg names them; NaN, or None where it
            was read from a checkpoint, is what has no value.
        classes: Names of the C classes.
        unlabelled: Ids of those without a bought label.

    Returns:
        Of these only what is not empty: ``mean``: classes that the mean IoU
        leaves out; ``val``: those without a pixel in ``data.val``;
        ``labels``: those without a bought label.
    """

    def without(metric: str) -> list[str]:
        return [
            name
            for name in classes
            if _is_nothing(metrics.get(f'{metric}.{name}', 0.0))
        ]

    mean = without('IoU')
    accuracy = set(without('Acc'))  # NaN where the truth has no pixel
    found = {
        'mean': mean,
        'val': [name for name in classes if name in {*mean, *accuracy}],
        'labels': [classes[number] for number in unlabelled],
    }
    return {key: names for key, names in found.items() if names}


def _is_nothing(value: Any) -> bool:
    return value is None or math.isnan(value)
