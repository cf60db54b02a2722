from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmseg.models.builder import HEADS
from mmseg.models.decode_heads.aspp_head import ASPPHead
from mmseg.ops import resize
from torch import Tensor, nn


@HEADS.register_module()
class DeepLabV3PlusHead(ASPPHead):
    """DeepLabV3+ of full convolutions, small enough for MobileNetV2.

    Spatial pyramid at the last stage, fused by a 1x1 convolution; joined with
    the first stage, narrowed to ``low_channels``; two 3x3 convolutions and
    the classifier. Dropout is element-wise. mmseg's own head is separable,
    fuses by a 3x3 convolution, and drops whole channels, once.

    Source: Chen et al., Encoder-Decoder with Atrous Separable Convolution for
    Semantic Image Segmentation, ECCV 2018; in the size of Shin et al., All
    You Need Are a Few Pixels, ICCVW 2021.

    Args:
        low_in_channels: Channels of the backbone's first output.
        low_channels: Their number after the reduction.
        dropouts: Share of elements dropped after the pyramid, after the first
            and after the second 3x3 convolution.
        **kwargs: As for mmseg's ``ASPPHead``; ``dropout_ratio`` is not one.
    """

    def __init__(
        self,
        low_in_channels: int,
        low_channels: int = 48,
        dropouts: Sequence[float] = (0.5, 0.5, 0.2),
        **kwargs: Any,
    ) -> None:
        super().__init__(dropout_ratio=0, **kwargs)
        pyramid, first, second = dropouts
        paths = len(self.dilations) + 1
        self.bottleneck = nn.Sequential(
            self._conv(paths * self.channels, self.channels, 1),
            nn.Dropout(pyramid),
        )
        self.low = self._conv(low_in_channels, low_channels, 1)
        self.decoder = nn.Sequential(
            self._conv(self.channels + low_channels, self.channels, 3),
            nn.Dropout(first),
            self._conv(self.channels, self.channels, 3),
        )
        self.dropout = nn.Dropout(second)

    def _conv(self, inputs: int, outputs: int, kernel: int) -> ConvModule:
        return ConvModule(
            inputs,
            outputs,
            kernel,
            padding=kernel // 2,
            conv_cfg=self.conv_cfg,
            norm_cfg=self.norm_cfg,
            act_cfg=self.act_cfg,
        )

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Compute class scores (B, C, h, w), at the first stage's size."""
        low = self.low(inputs[0])
        pyramid = resize(
            self._forward_feature(inputs),
            size=low.shape[2:],
            mode='bilinear',
            align_corners=self.align_corners,
        )  # (B, channels, h, w) of inputs[0]
        features = self.decoder(torch.cat([pyramid, low], dim=1))
        return self.cls_seg(features)
