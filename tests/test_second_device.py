"""Whole runs on a device whose tensors do not mix with those of the CPU."""

import numpy as np
import pytest
import torch

from segal.rounds import read_rounds
from segal.train_active_learning import main
from tests.second_device import DEVICE, second_device
from tests.test_training_options import WEAK
from tests.tiny import write_config, write_images

SHORT = """
runner.update(sample_rounds=2)
model['decode_head']['dropout_ratio'] = 0
"""
RUNS = {
    'training': WEAK
    + """
active_learning.update(
    average=dict(decay=0.8), class_balance=dict(power=0.5),
    pseudo_labels=dict(threshold=0.4, begin=0.3), loss_at_labels=True,
    heuristic=dict(type='ClassBalanced', of='Margin'))
""",
    'views': """
active_learning.update(
    reset_each_round=False, features=dict(type='Segmentor'),
    heuristic=dict(type='BALD', source='views'),
    selector=dict(type='PixelsBadge'), visualize=dict(size=1))
""",
    'committee': """
speed = dict(channels_last=True, augment_on_device=True)
runner.update(sample_rounds=3)
active_learning.update(
    heuristic=dict(type='PowerNoise', of=dict(type='OutputDiscrepancy')),
    committee=[dict(rounds=2)], selector=dict(type='PixelsSpread', distance=3))
""",
}


def test_tensors_of_two_devices_do_not_mix(monkeypatch):
    with second_device(monkeypatch):
        there = torch.ones(3, device=DEVICE)
        assert (there + 1).device == DEVICE
        assert (there * torch.tensor(2.0)).tolist() == [2, 2, 2]
        with pytest.raises(RuntimeError, match='two devices'):
            there + torch.ones(3)
        with pytest.raises(RuntimeError):
            there.numpy()
        assert there.cpu().numpy().tolist() == [1, 1, 1]


@pytest.mark.parametrize('name', RUNS)
def test_a_run_on_another_device_buys_the_same_labels(
    tmp_path, monkeypatch, name
):
    config = write_config(
        write_images(tmp_path),
        extra=SHORT + RUNS[name],
    )
    cpu, other = tmp_path / 'cpu', tmp_path / 'other'
    monkeypatch.setattr(
        'segal.utils.train.own_device', lambda: torch.device('cpu')
    )
    assert main([str(config), '--work-dir', str(cpu)]) == 0
    with second_device(monkeypatch):
        assert main([str(config), '--work-dir', str(other)]) == 0
    for path in sorted((cpu / 'labels').glob('*.npz')):
        with (
            np.load(path) as one,
            np.load(other / 'labels' / path.name) as two,
        ):
            assert {k: one[k].tolist() for k in one.files} == {
                k: two[k].tolist() for k in two.files
            }
    pairs = zip(read_rounds(cpu), read_rounds(other), strict=True)
    for one, two in pairs:
        assert one['mIoU'] == two['mIoU']
        weights, others = (
            torch.load(
                work_dir / f'round_{one["round"]:03d}' / 'final.pth',
                weights_only=True,
            )['state_dict']
            for work_dir in (cpu, other)
        )
        assert weights.keys() == others.keys()
        assert all(torch.equal(weights[x], others[x]) for x in weights)


def test_passes_with_dropout_run_on_another_device(tmp_path, monkeypatch):
    """Dropout draws other numbers there, as on a GPU."""
    config = write_config(
        write_images(tmp_path),
        extra='\nrunner.update(sample_rounds=2)\n'
        "active_learning.update(heuristic='BALD')\n",
    )
    with second_device(monkeypatch):
        assert main([str(config), '--work-dir', str(tmp_path / 'run')]) == 0
    assert len(read_rounds(tmp_path / 'run')) == 2
