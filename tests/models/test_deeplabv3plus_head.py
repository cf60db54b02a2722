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
