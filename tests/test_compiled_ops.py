"""mmcv without its compiled ops: what works, and what is refused."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import mmcv
import pytest
import torch
from mmcv.ops import MultiScaleDeformableAttention, PSAMask, psa_mask
from mmseg.models.losses import FocalLoss
from torch import nn

from segal.compiled_ops import MODULE, MissingOpError, Placeholder, are_missing
from segal.preflight.training import check_ops
from segal.train_active_learning import main
from tests.tiny import write_config, write_images

ROOT = Path(__file__).parents[1]
CPU, GPU = torch.device('cpu'), torch.device('cuda')

PSA = """
model['decode_head'] = dict(
    type='PSAHead', in_channels=4, in_index=1, channels=4, mask_size=(3, 3),
    num_classes=3, align_corners=False,
    loss_decode=dict(type='CrossEntropyLoss'))
evaluation['metric'] = ['mIoU', 'mFoo']
"""


@pytest.fixture
def missing(monkeypatch):
    """The placeholder, in place of the ops."""
    placeholder = Placeholder(MODULE)
    monkeypatch.setitem(sys.modules, MODULE, placeholder)
    monkeypatch.setattr(psa_mask, 'ext_module', placeholder)
    msda = sys.modules[MultiScaleDeformableAttention.__module__]
    monkeypatch.setattr(msda, 'ext_module', placeholder)


def test_compiled_ops_are_found_before_the_placeholder():
    assert not are_missing()
    assert Path(sys.modules[MODULE].__file__).suffix == '.so'
    assert check_ops(nn.Sequential(PSAMask('collect', (3, 3))), GPU) == []


def test_an_op_raises_when_it_is_called(missing):
    layer = PSAMask('collect', (3, 3))
    with pytest.raises(MissingOpError, match=r'psamask_forward.*make ops'):
        layer(torch.zeros(1, 9, 4, 4))
    assert not hasattr(sys.modules[MODULE], '__wrapped__')


def test_each_kind_of_part_is_named_once(missing):
    layers = [PSAMask('collect', (3, 3)), PSAMask('distribute', (3, 3))]
    attention = MultiScaleDeformableAttention(8, 2)
    model = nn.Sequential(*layers, FocalLoss(), attention)
    (said,) = check_ops(model, CPU)
    assert said.startswith('model.0 and 1 more: PSAMask needs the compiled')
    said = '\n'.join(check_ops(model, GPU))
    assert 'model.2: sigmoid_focal_loss needs' in said
    assert 'model.3: MultiScaleDeformableAttention needs' in said


def test_a_config_is_refused_beside_its_other_problems(
    missing, tmp_path, capsys
):
    config = write_config(write_images(tmp_path), extra=PSA)
    assert main([str(config), '--work-dir', str(tmp_path / 'run')]) == 2
    said = capsys.readouterr().err
    assert '2 problems in the config' in said
    assert "'mFoo' is not supported" in said
    assert 'model.decode_head.psamask_collect and 1 more: PSAMask' in said
    assert '`make ops`' in said
    assert not (tmp_path / 'run' / 'labels').exists()


OWN = """
import torch
from mmcv.ops import psa_mask
from mmseg.models.builder import HEADS
from mmseg.models.decode_heads import FCNHead

@HEADS.register_module(force=True)
class Own(FCNHead):
    def forward(self, inputs):
        psa_mask.PSAMaskFunction.apply(
            torch.zeros(1, 9, 4, 4), 'collect', (3, 3))
        return super().forward(inputs)
"""


def test_an_op_of_a_users_own_code_is_found(
    missing, tmp_path, capsys, monkeypatch
):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / 'own_head.py').write_text(OWN)
    extra = (
        "custom_imports = dict(imports=['own_head'])\n"
        "model['decode_head']['type'] = 'Own'\n"
    )
    config = write_config(write_images(tmp_path), extra=extra)
    assert main([str(config), '--work-dir', str(tmp_path / 'run')]) == 2
    said = capsys.readouterr().err
    assert 'Error: psamask_forward is one of the compiled ops' in said
    assert 'in_channels' not in said


WITHOUT = """
import importlib, pkgutil, sys
import segal
import mmseg
for module in pkgutil.walk_packages(mmseg.__path__, 'mmseg.'):
    importlib.import_module(module.name)
from mmcv.utils import collect_env
from segal.compiled_ops import are_missing
assert are_missing()
assert collect_env()['MMCV Compiler'] == 'not compiled'
from segal.train_active_learning import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_mmcv_built_without_ops_trains(tmp_path):
    """A wheel of mmcv from its source, before the one of this environment."""
    version = mmcv.__version__
    build = ('--no-deps', '--no-build-isolation', '-w', str(tmp_path))
    subprocess.run(
        [sys.executable, '-m', 'pip', 'wheel', *build, f'mmcv=={version}'],
        check=True,
        env={**os.environ, 'MMCV_WITH_OPS': '0'},
    )
    (wheel,) = tmp_path.glob('mmcv-*.whl')
    with zipfile.ZipFile(wheel) as file:
        file.extractall(tmp_path / 'site')
    config = write_config(write_images(tmp_path))
    done = subprocess.run(
        [sys.executable, '-c', WITHOUT, config, '--work-dir', 'run'],
        cwd=tmp_path,
        env={
            **os.environ,
            'PYTHONPATH': f'{tmp_path / "site"}:{ROOT}',
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / 'run' / 'rounds.json').exists()
