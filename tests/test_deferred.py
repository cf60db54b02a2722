"""timm is imported where one of its networks is built, and works there."""

import sys

from tests.ranks import run_ranks


def use_timm():
    import torch
    from mmcls.models import BACKBONES
    from mmseg.models import build_backbone

    assert 'timm' not in sys.modules
    assert 'wandb' not in sys.modules
    part = dict(type='TIMMBackbone', model_name='resnet18', pretrained=False)
    network = build_backbone(part)
    assert len(network(torch.zeros(2, 3, 32, 32))) == 5
    assert sum(1 for _ in BACKBONES.build(part).parameters()) == 60
    import timm.models

    assert sys.modules['timm'] is timm
    assert timm.models.create_model is timm.create_model
    return True


def test_timm_is_imported_when_it_is_used():
    assert run_ranks(use_timm, 1) == [True]
