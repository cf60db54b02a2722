"""Check annotations as files, and the steps that read images."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import cv2
import numpy as np
from mmcv.parallel import DataContainer
from mmseg.datasets import CustomDataset

from segal.errors import ConfigError, DataError


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


_TRIED = 3
"""Images that are tried, since one may be damaged."""

_known: WeakKeyDictionary[CustomDataset, int] = WeakKeyDictionary()


def reading_steps(dataset: CustomDataset, key: str) -> int:
    """Count the steps at the start of a pipeline that read the image.

    mmseg's readers are found by their name. For other readers, a sample is
    read to find the step that adds ``img`` to the results.

    Raises:
        ConfigError: No step reads an image.
    """
    steps = dataset.pipeline.transforms
    kinds = [type(step).__name__ for step in steps]
    named = [i for i, x in enumerate(kinds) if x.startswith('LoadImage')]
    if named:
        return named[-1] + 1
    if dataset not in _known:
        _known[dataset] = _probe(dataset, key, steps, kinds)
    return _known[dataset]


def _probe(
    dataset: CustomDataset, key: str, steps: list[Any], kinds: list[str]
) -> int:
    failed = ''
    for info in dataset.img_infos[:_TRIED]:
        results: Any = dict(img_info=info, ann_info=info.get('ann', {}))
        dataset.pre_pipeline(results)
        for count, step in enumerate(steps, 1):
            try:
                results = step(results)
            except Exception as error:
                failed = (
                    f'; {kinds[count - 1]} fails on {info.get("filename")} '
                    f'({type(error).__name__}: {error})'
                )
                break
            if not isinstance(results, dict):
                break
            if getattr(results.get('img'), 'ndim', 0) >= 2:
                return count
    raise ConfigError(
        f'{key}.pipeline: wanted a step that loads the image, such as '
        f"LoadImageFromFile, or one of your own that puts results['img'] "
        f'(H, W, 3) in; got {kinds}{failed}'
    )
