"""What ``speed`` takes, refuses, and completes."""

from types import SimpleNamespace

import pytest
import torch
from mmcv import Config

from segal.config import fingerprint, read_config
from segal.config.speed import SCALED, check_device, slow_colours, slow_on
from tests.config.minimal import minimal


def problems_of(**changes):
    return read_config(minimal(**changes))[1]


def test_nothing_is_on_by_default():
    config, problems, _ = read_config(minimal())
    assert problems == []
    speed = config.speed
    assert (speed.channels_last, speed.precision) == (False, 'fp32')
    assert (speed.fused, speed.compile) == (False, False)
    assert speed.gpu_memory is speed.image_cache is None
    assert speed.augment_on_device is False


def test_fused_goes_into_the_optimizer():
    cfg = minimal(speed=dict(fused=True))
    assert read_config(cfg)[1] == []
    assert cfg.optimizer['fused'] is True


def test_an_optimizer_without_it_is_named():
    (problem,) = problems_of(
        speed=dict(fused=True),
        optimizer=dict(type='RMSprop', lr=0.1),
    )
    assert problem.startswith('speed.fused: wanted an optimizer that has it (')
    assert 'AdamW' in problem
    assert problem.endswith('got RMSprop; leave speed.fused out')


def test_fp16_scales_the_loss_and_keeps_the_options_of_the_hook():
    clip = dict(max_norm=1.0)
    cfg = minimal(
        speed=dict(precision='fp16'), optimizer_config=dict(grad_clip=clip)
    )
    assert read_config(cfg)[1] == []
    assert cfg.optimizer_config == dict(type=SCALED, grad_clip=clip)


def test_fp16_not_with_another_optimizer_hook():
    (problem,) = problems_of(
        speed=dict(precision='fp16'),
        optimizer_config=dict(type='GradientCumulativeOptimizerHook'),
    )
    assert 'got GradientCumulativeOptimizerHook in' in problem


def test_one_half_precision_at_a_time():
    (problem,) = problems_of(
        speed=dict(precision='bf16'), fp16=dict(loss_scale='dynamic')
    )
    assert problem.startswith('speed.precision: wanted one of')


@pytest.mark.parametrize(
    ('written', 'said'),
    [
        (dict(precision='half'), 'speed.precision: wanted one of'),
        (dict(chanels_last=True), 'speed.chanels_last: unknown key'),
        (dict(image_cache=0), 'speed.image_cache: wanted'),
        (dict(compile='max'), 'speed.compile: wanted one of'),
    ],
)
def test_wrong_values_are_named(written, said):
    (problem,) = problems_of(speed=written)
    assert problem.startswith(said)


def test_fp16_wants_a_gpu():
    cpu = torch.device('cpu')
    (problem,) = check_device('fp16', None, cpu)
    assert problem.startswith("speed.precision: wanted a GPU with 'fp16'")
    assert check_device('bf16', 4096, cpu) == []


def test_a_processor_without_bf16_is_named(monkeypatch):
    cpu = torch.device('cpu')
    for known in (True, False):
        ops = SimpleNamespace(_is_mkldnn_bf16_supported=lambda k=known: k)
        monkeypatch.setattr(torch.ops, 'mkldnn', ops)
        assert bool(slow_on('bf16', cpu)) is not known
        assert slow_on('fp32', cpu) == ''
    assert slow_on('bf16', torch.device('cuda', 0)) == ''


def test_colours_on_a_cpu_are_warned_of():
    cpu, gpu = torch.device('cpu'), torch.device('cuda', 0)
    assert 'leave augment_on_device out' in slow_colours(True, cpu)
    assert slow_colours(False, cpu) == slow_colours(True, gpu) == ''


def test_a_gpu_without_bf16_is_named(monkeypatch):
    monkeypatch.setattr(
        torch.cuda, 'is_bf16_supported', lambda **options: False
    )
    monkeypatch.setattr(
        torch.cuda, 'get_device_name', lambda device: 'Tesla T4'
    )
    (problem,) = check_device('bf16', None, torch.device('cuda', 0))
    assert 'got Tesla T4' in problem


def mark(**speed):
    cfg = minimal(**({'speed': speed} if speed else {}))
    config, problems, _ = read_config(cfg)
    assert problems == []
    return fingerprint(cfg, config)


def test_what_changes_results_makes_another_experiment():
    plain = mark()
    assert mark(image_cache=100, gpu_memory=4096) == plain
    different = {
        mark(channels_last=True),
        mark(precision='bf16'),
        mark(fused=True),
        mark(compile=True),
        mark(augment_on_device=True),
    }
    assert len(different) == 5
    assert plain not in different


def test_a_config_reads_back(tmp_path):
    path = tmp_path / 'some.py'
    path.write_text(
        minimal(speed=dict(channels_last=True, compile=False)).pretty_text
    )
    assert read_config(Config.fromfile(str(path)))[0].speed.channels_last
