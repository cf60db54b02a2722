"""Load first, transform after: an mmseg data set split at its labels."""

from __future__ import annotations

import os.path as osp
from typing import Any

import numpy as np
from mmseg.datasets import CustomDataset
from numpy.typing import NDArray

from segal.errors import ConfigError, DataError


def image_name(dataset: CustomDataset, index: int) -> str:
    """The key under which an image is known everywhere.

    Args:
        dataset: An mmseg data set.
        index: Position in it.

    Returns:
        Class of the data set + path relative to its root, such as
        ``'CamVidDataset/images/train/0001TP_006690.jpg'``: the same wherever
        the data lie.
    """
    folder = dataset.img_dir
    root = dataset.data_root
    if root is not None and not osp.relpath(folder, root).startswith('..'):
        folder = osp.relpath(folder, root)
    else:
        folder = osp.basename(osp.normpath(folder))
    return '/'.join(
        [
            type(dataset).__name__,
            *folder.split(osp.sep),
            dataset.img_infos[index]['filename'],
        ]
    )


def image_file(dataset: CustomDataset, index: int) -> str:
    """Path of an image file."""
    return osp.join(dataset.img_dir, dataset.img_infos[index]['filename'])


class LoadFirst:
    """Reads images and annotations of a data set without transforming them.

    The pipeline is cut at ``LoadAnnotations``: what stands before it loads
    the image, what stands after it transforms image and labels together.

    Args:
        dataset: An mmseg data set.
        key: Where it stands in the config, for errors.

    Attributes:
        transforms: The part of the pipeline after ``LoadAnnotations``.

    Raises:
        ConfigError: The pipeline does not load images.
    """

    def __init__(self, dataset: CustomDataset, key: str) -> None:
        self.dataset = dataset
        self.key = key
        steps = dataset.pipeline.transforms
        kinds = [type(step).__name__ for step in steps]
        if not any(kind.startswith('LoadImage') for kind in kinds):
            raise ConfigError(
                f'{key}.pipeline: wanted a step that loads the image, such '
                f'as LoadImageFromFile; got {kinds}'
            )
        if 'LoadAnnotations' in kinds:
            cut = kinds.index('LoadAnnotations')
            self._annotations = steps[cut]
        else:
            cut = (
                max(
                    i
                    for i, kind in enumerate(kinds)
                    if kind.startswith('LoadImage')
                )
                + 1
            )
            self._annotations = dataset.gt_seg_map_loader
        self._load = [step for i, step in enumerate(steps[:cut])]
        self.transforms = [
            step
            for i, step in enumerate(steps[cut:])
            if type(step).__name__ != 'LoadAnnotations'
        ]

    def load_image(self, index: int) -> dict[str, Any]:
        """The results of the loading steps, as the transforms want them.

        Args:
            index: Position in the data set.

        Returns:
            mmseg's results dict, with ``img`` uint8 (H, W, 3) and no labels.

        Raises:
            DataError: The file is missing or cannot be decoded.
        """
        info = self.dataset.img_infos[index]
        results = dict(img_info=info, ann_info=info.get('ann', {}))
        self.dataset.pre_pipeline(results)
        path = image_file(self.dataset, index)
        try:
            for step in self._load:
                results = step(results)
        except Exception as error:
            reason = (
                'the file is missing'
                if isinstance(error, FileNotFoundError)
                else 'it cannot be decoded as an image'
            )
            raise DataError(
                f'{path}: {reason} ({type(error).__name__}); restore the '
                f'file, or take it out of {self.key}'
            ) from error
        return results

    def load_annotation(self, index: int) -> NDArray[np.uint8]:
        """The ground truth, in training class ids.

        Args:
            index: Position in the data set.

        Returns:
            uint8 (H, W), as the pipeline's own LoadAnnotations gives it.

        Raises:
            DataError: No annotation is known, or the file is missing or
                cannot be decoded.
        """
        info = self.dataset.img_infos[index]
        if 'ann' not in info:
            raise DataError(
                f'{image_file(self.dataset, index)}: no annotation is known '
                f'for it; set {self.key}.ann_dir'
            )
        results = dict(img_info=info, ann_info=info['ann'])
        self.dataset.pre_pipeline(results)
        path = osp.join(self.dataset.ann_dir or '', info['ann']['seg_map'])
        try:
            return self._annotations(results)['gt_semantic_seg']
        except Exception as error:
            reason = (
                'the annotation is missing'
                if isinstance(error, FileNotFoundError)
                else 'the annotation cannot be decoded'
            )
            raise DataError(
                f'{path}: {reason} ({type(error).__name__}: {error}); '
                f'restore the file, or correct {self.key}.ann_dir and '
                'seg_map_suffix'
            ) from error
