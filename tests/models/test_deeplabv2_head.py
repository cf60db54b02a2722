import pytest
import torch
from mmseg.models import build_head

import segal.models  # noqa: F401  (registers the head)


@pytest.fixture(scope='module')
def head():
    torch.manual_seed(0)
    head = build_head(
        dict(
            type='DeepLabV2Head',
            in_channels=6,
            in_index=1,
            num_classes=4,
            align_corners=True,
            loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
        )
    )
    head.init_weights()
    return head


def features():
    draw = torch.Generator().manual_seed(1)
    return [torch.zeros(2, 3, 8, 8), torch.randn(2, 6, 9, 11, generator=draw)]


def test_sums_four_dilated_convolutions(head):
    inputs = features()
    out = head(inputs)
    assert out.shape == (2, 4, 9, 11)
    wanted = sum(
        torch.nn.functional.conv2d(
            inputs[1],
            conv.weight,
            conv.bias,
            padding=dilation,
            dilation=dilation,
        )
        for conv, dilation in zip(head.conv_seg, (6, 12, 18, 24), strict=True)
    )
    torch.testing.assert_close(out, wanted)
    assert inputs[1].equal(features()[1])  # nothing is added in place


def test_begins_small_and_without_dropout(head):
    assert head.dropout is None
    for conv in head.conv_seg:
        assert conv.weight.std().item() == pytest.approx(0.01, rel=0.3)
        assert not conv.bias.any()


def test_learns_from_a_few_labels_in_all_its_weights(head):
    labels = torch.full((2, 1, 72, 88), 255)
    labels[:, :, 10, 10] = 3
    losses = head.forward_train(features(), [{}] * 2, labels, None)
    losses['loss_ce'].backward()
    assert all(value.grad.abs().sum() > 0 for value in head.parameters())
    head.zero_grad()
