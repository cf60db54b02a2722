from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mmcv
import numpy as np
import torch
from mmcv.parallel import DataContainer
from mmseg.datasets.builder import PIPELINES


@PIPELINES.register_module()
class KeepWeakView:
    """Keeps the normalised image at this step as ``img_weak``.

    For the teacher of ``active_learning.pseudo_labels``: it sees what the
    steps before this one made, the network that is trained sees what the
    steps after it make of that. Put it after all steps that move pixels and
    before those that change colours, and name ``'img_weak'`` among the keys
    of ``Collect``.

    Source: Sohn et al., FixMatch, NeurIPS 2020: weak and strong augmentation.

    Args:
        mean: Of each channel, as for mmseg's ``Normalize``.
        std: Of each channel.
        to_rgb: Whether channels are turned from BGR to RGB.
    """

    def __init__(
        self, mean: Sequence[float], std: Sequence[float], to_rgb: bool = True
    ) -> None:
        self.mean = np.array(mean, np.float32)
        self.std = np.array(std, np.float32)
        self.to_rgb = to_rgb

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``results['img_weak']``, float32 (3, h, w) in a container."""
        weak = mmcv.imnormalize(
            results['img'], self.mean, self.std, self.to_rgb
        )  # (h, w, 3)
        weak = np.ascontiguousarray(weak.transpose(2, 0, 1))
        results['img_weak'] = DataContainer(torch.from_numpy(weak), stack=True)
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(mean={self.mean.tolist()}, '
            f'std={self.std.tolist()}, to_rgb={self.to_rgb})'
        )
