"""What the ids of an annotation tell about where it comes from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_NO_CLASS = 255


def count_ids(truth: NDArray[np.integer]) -> int:
    """Count the different values of an annotation, void included."""
    return len(np.unique(truth))


def describe_ids(ids: Sequence[int], classes: int) -> str:
    """Say what may have happened to an annotation with ids that are none.

    Args:
        ids: All values of the annotation, sorted.
        classes: How many classes there are.

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


def absent_classes(
    counts: NDArray[np.int64], classes: Sequence[str]
) -> list[str]:
    """List the classes of which no pixel was counted.

    Args:
        counts: Pixels of each id, int64 (256,).
        classes: Names of the C classes.
    """
    return [name for name, n in zip(classes, counts, strict=False) if not n]
