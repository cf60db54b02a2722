"""timm is imported where one of its networks is built, and works there."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

CODE = """
import sys, torch
import segal.utils.train
assert 'timm' not in sys.modules
assert 'wandb' not in sys.modules
from mmseg.models import build_backbone
network = build_backbone(dict(
    type='TIMMBackbone', model_name='resnet18', pretrained=False))
assert len(network(torch.zeros(2, 3, 32, 32))) == 5
import timm, timm.models
assert sys.modules['timm'] is timm
assert timm.models.create_model is timm.create_model
import mmcls.models.backbones.timm_backbone
"""


def test_timm_is_imported_when_it_is_used():
    done = subprocess.run(
        [sys.executable, '-c', CODE],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
