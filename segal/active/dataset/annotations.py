"""Check annotations: size, type and class ids."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from mmcv.parallel import DataContainer
from numpy.typing import NDArray

from segal.active.label_store.ids import describe_ids
from segal.active.oracles import colours_in
from segal.errors import DataError


def check_annotation(
    truth: NDArray[Any],
    path: str,
    key: str,
    size: tuple[int, ...] | None,
    classes: int,
    last: int,
    ignore_index: int,
) -> None:
    """Check the size, the type and the class ids of an annotation.

    Void are ``ignore_index`` and 255; of other ids ``last`` is the largest.
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
    if truth.dtype.kind not in 'iub' or truth.min(initial=0) < 0:
        raise DataError(
            f'{path}: wanted whole class ids of 0 to 255, got '
            f'{truth.dtype}; correct the LoadAnnotations of {key}.pipeline'
        )
    ids = np.flatnonzero(np.bincount(truth.reshape(-1), minlength=256))
    odd = ids[(ids > last) & (ids != 255) & (ids != ignore_index)]
    if len(odd):
        raise DataError(
            f'{path}: wanted class ids 0 to {last}, or {ignore_index} where '
            f'void, got {odd[:10].tolist()} too: '
            f'{describe_ids(ids.tolist(), classes)}; correct '
            f'{key}.classes or reduce_zero_label, or convert the annotations'
        )


def check_depth(path: str) -> None:
    """Check that class ids fit into a byte, as mmseg casts them.

    Only a file on this disk is read.

    Raises:
        DataError: 16-bit ids would lose their upper byte.
    """
    try:
        with open(path, 'rb') as file:
            head = file.read(26)
    except OSError:
        return  # the reader reports it
    if head[1:4] == b'PNG' and head[24:25] != b'\x10':
        return
    ids = cv2.imread(path, cv2.IMREAD_UNCHANGED)
    if ids is None or ids.dtype == np.uint8:
        return
    odd = np.unique(ids[ids != ids.astype(np.uint8)])
    if len(odd):
        raise DataError(
            f'{path}: wanted class ids of 0 to 255, got {ids.dtype} with '
            f'{odd[:10].tolist()}, which would be cut off; convert the '
            'annotations to 8 bit'
        )


def check_moved(results: dict[str, Any], name: str) -> None:
    """Check that the pipeline moved a map together with the labels.

    Raises:
        ValueError: The map has another size.
    """
    labels = results.get('gt_semantic_seg')
    if isinstance(labels, DataContainer):
        labels = labels.data
    size, wanted = results[name].shape, getattr(labels, 'shape', ())[-2:]
    if wanted and size != tuple(wanted):
        raise ValueError(
            "wanted steps that move all maps named in results['seg_fields'], "
            f"as mmseg's do, got labels of {tuple(wanted)} and {name} of "
            f'{size}'
        )
