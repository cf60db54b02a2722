import pytest
import torch
from mmcv import Config
from mmseg.models import build_segmentor
from torch import nn

import segal.models  # noqa: F401  (registers the head)

CONFIG = 'configs/_base_/models/deeplabv3plus_mobilenetv2.py'


@pytest.fixture(scope='module')
def model(request):
    cfg = Config.fromfile(str(request.config.rootpath / CONFIG))
    return build_segmentor(cfg.model)


def count(module):
    return sum(value.numel() for value in module.parameters())


def test_parameters(model):
    assert count(model.backbone) == 1_811_712
    assert count(model) == 5_813_483  # 5.81 M as published
    assert not model.with_auxiliary_head


def test_output_strides(model):
    model.eval()
    with torch.no_grad():
        low, high = model.extract_feat(torch.zeros(1, 3, 96, 128))
        logits = model.decode_head([low, high])
    assert low.shape == (1, 24, 24, 32)  # stride 4
    assert high.shape == (1, 320, 6, 8)  # stride 16
    assert logits.shape == (1, 11, 24, 32)


def test_pyramid_is_of_full_convolutions_fused_by_one_by_one(model):
    head = model.decode_head
    convolutions = [path.conv for path in head.aspp_modules]
    assert [conv.kernel_size[0] for conv in convolutions] == [1, 3, 3, 3]
    assert [conv.dilation[0] for conv in convolutions] == [1, 6, 12, 18]
    assert all(conv.groups == 1 for conv in convolutions)
    assert head.bottleneck[0].conv.weight.shape == (256, 5 * 256, 1, 1)
    assert head.low.conv.weight.shape == (48, 24, 1, 1)
    assert head.decoder[0].conv.weight.shape == (256, 304, 3, 3)
    assert head.align_corners
    assert model.align_corners


def test_dropout_is_element_wise_and_at_its_places(model):
    """Where the network drops, in the order of the forward pass."""
    model.train()
    seen = []
    hooks = [
        module.register_forward_hook(
            lambda one, given, _: seen.append((type(one), one.p, given[0]))
        )
        for module in model.modules()
        if isinstance(module, nn.modules.dropout._DropoutNd)
    ]
    with torch.no_grad():
        model.decode_head(model.extract_feat(torch.rand(2, 3, 64, 64)))
    for hook in hooks:
        hook.remove()
    assert [kind for kind, _, _ in seen] == [nn.Dropout] * 3
    assert [share for _, share, _ in seen] == [0.5, 0.5, 0.2]
    # the pyramid lies at stride 16, the decoder at stride 4
    assert [tuple(x.shape[1:]) for _, _, x in seen] == [
        (256, 4, 4),
        (256, 16, 16),
        (256, 16, 16),
    ]


def test_learns_from_a_few_labels(model):
    torch.manual_seed(0)
    model.train()
    labels = torch.full((2, 1, 64, 64), 255)
    labels[:, :, 10, 10] = 3
    metas = [{}] * 2
    losses = model.forward_train(torch.rand(2, 3, 64, 64), metas, labels)
    losses['decode.loss_ce'].backward()
    assert all(
        value.grad is not None and value.grad.isfinite().all()
        for value in model.parameters()
    )
    model.zero_grad()
