"""Train MMSelfSup on a pool: a data source of files, and a neck."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmselfsup.datasets.builder import DATASOURCES
from mmselfsup.datasets.data_sources import BaseDataSource
from mmselfsup.models import NECKS, NonLinearNeck
from torch import Tensor


@DATASOURCES.register_module()
class ImageFiles(BaseDataSource):
    """Images by their paths, without any label.

    Args:
        files: Paths.
        **options: See the base.
    """

    def __init__(self, files: list[str], **options: Any) -> None:
        self.files = list(files)
        super().__init__(data_prefix='', **options)

    def load_annotations(self) -> list[dict[str, Any]]:
        """List one entry for each image, as the base class wants it."""
        return [
            dict(img_info=dict(filename=file), gt_label=np.array(-1))
            for file in self.files
        ]


@NECKS.register_module()
class LastMapNeck(NonLinearNeck):
    """MMSelfSup's own neck on the last of several maps of a backbone.

    mmseg's backbones give one map for each stage; MMSelfSup's give one.
    """

    def forward(self, x: list[Tensor]) -> list[Tensor]:
        """Return (B, C) of the last map (B, F, h, w)."""
        return super().forward([x[-1]])
