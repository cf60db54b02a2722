"""The network of PixelPick's CamVid experiment, to the last parameter."""

from pathlib import Path

import pytest
import torch
from mmcv import Config
from mmseg.models import build_segmentor
from torch import nn

import segal.models  # noqa: F401  (fills mmseg's registries)

BASE = (
    Path(__file__).resolve().parent.parent.parent
    / 'configs/_base_/models/deeplabv3plus_mobilenetv2.py'
)


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    return build_segmentor(Config.fromfile(str(BASE)).model).eval()


def test_has_5_81_million_parameters(model):
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == pytest.approx(5.81e6, abs=5e3)


def test_output_stride_is_16(model):
    with torch.no_grad():
        low, high = model.extract_feat(torch.zeros(1, 3, 64, 96))
        logits = model.decode_head([low, high])
    assert low.shape == (1, 24, 16, 24)
    assert high.shape == (1, 320, 4, 6)
    assert logits.shape == (1, 11, 16, 24)


def test_dropout_is_element_wise_at_three_places(model):
    head = model.decode_head
    found = [
        module.p for module in head.modules() if isinstance(module, nn.Dropout)
    ]
    assert sorted(found) == [0.2, 0.5, 0.5]
    assert not any(
        isinstance(module, nn.Dropout2d) for module in head.modules()
    )


def test_no_auxiliary_head_and_corners_aligned(model):
    assert not model.with_auxiliary_head
    assert model.align_corners


def test_the_pyramid_is_of_full_convolutions(model):
    dilations = [
        module.dilation[0]
        for module in model.decode_head.modules()
        if isinstance(module, nn.Conv2d)
        and module.in_channels == 320
        and module.kernel_size == (3, 3)
    ]
    assert dilations == [6, 12, 18]
    assert all(
        module.groups == 1
        for module in model.decode_head.modules()
        if isinstance(module, nn.Conv2d)
    )
