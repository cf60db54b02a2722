from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmseg.models.builder import HEADS
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor, nn


@HEADS.register_module()
class DeepLabV2Head(BaseDecodeHead):
    """DeepLab-v2's classifier: the sum of four dilated 3x3 convolutions.

    The network of most work on domain adaptation from GTAV; mmseg begins with
    v3.

    Source: Chen et al., DeepLab: Semantic Image Segmentation with Deep
    Convolutional Nets, Atrous Convolution, and Fully Connected CRFs, TPAMI
    2018; without hidden layer, as in Tsai et al., Learning to Adapt
    Structured Output Space for Semantic Segmentation, CVPR 2018.

    Args:
        in_channels: Of the backbone's last stage.
        dilations: One for each convolution.
        **kwargs: As for mmseg's heads; there is no dropout unless
            ``dropout_ratio`` is given.
    """

    def __init__(
        self,
        in_channels: int,
        dilations: Sequence[int] = (6, 12, 18, 24),
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault('dropout_ratio', 0)
        super().__init__(in_channels, in_channels, **kwargs)
        self.conv_seg = nn.ModuleList(
            nn.Conv2d(
                in_channels,
                self.out_channels,
                3,
                padding=dilation,
                dilation=dilation,
            )
            for dilation in dilations
        )

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Compute class scores (B, C, h, w), at the size of the last stage."""
        features = self._transform_inputs(inputs)
        if self.dropout is not None:
            features = self.dropout(features)
        first, *others = (conv(features) for conv in self.conv_seg)
        for other in others:
            first = first + other
        return first  # (B, C, h, w)
