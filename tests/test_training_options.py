"""Whole runs with class balance, averaged weights and pseudo-labels."""

import json

import pytest
from mmcv.runner import HOOKS, Hook
from mmseg.datasets.builder import PIPELINES

from segal.report.compare import compare
from segal.train_active_learning import main
from tests.faults.harness import SCENARIOS, Run
from tests.tiny import write_config, write_images

ALL = """
active_learning.update(
    class_balance=dict(power=0.5), average=dict(decay=0.8),
    pseudo_labels=dict(threshold=0.4, begin=0.5))
log_config = dict(interval=1, hooks=[dict(type='TextLoggerHook')])
"""
WEAK = """
train_pipeline[5:8] = [
    dict(type='Pad', size=(20, 28), pad_val=0, seg_pad_val=255),
    dict(type='KeepWeakView', **norm),
    dict(type='PhotoMetricDistortion'),
    dict(type='Normalize', **norm)]
train_pipeline[-1]['keys'] = ['img', 'gt_semantic_seg', 'img_weak']
"""
AT_LABELS = 'active_learning.update(loss_at_labels=True)\n'


@pytest.fixture
def root(tmp_path):
    return write_images(tmp_path)


def run(config, work_dir):
    return main([str(config), '--work-dir', str(work_dir)])


@HOOKS.register_module()
class StopAt(Hook):
    """Ends the process' work at a global iteration, as a kill would."""

    left = []

    def after_train_iter(self, runner):
        if runner.step in self.left:
            self.left.remove(runner.step)
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    ('by_epoch', 'step'),
    [pytest.param(True, 7, marks=pytest.mark.slow), (False, 12)],
)
def test_killed_it_goes_on_as_if_nothing_had_happened(
    root, tmp_path, by_epoch, step
):
    extra = (
        f"\ncustom_hooks = [dict(type='StopAt')]\n"
        f'runner.update(by_epoch={by_epoch}, sample_rounds=2)\n'
        f"workflow = [('train', {2 if by_epoch else 7}), ('query', 1)]\n"
        'checkpoint_config = dict(interval=2)\n'
    )
    more = WEAK + AT_LABELS if by_epoch else ''
    config = write_config(root, extra=ALL + more + extra)
    whole, cut = tmp_path / 'whole', tmp_path / 'cut'
    StopAt.left[:] = []
    assert run(config, whole) == 0
    StopAt.left[:] = [step]
    with pytest.raises(KeyboardInterrupt):
        run(config, cut)
    assert run(config, cut) == 0
    assert compare(whole, cut).differences() == []
    logged = [
        json.loads(line)
        for path in whole.rglob('*.log.json')
        for line in path.read_text().splitlines()
        if '"mode": "train"' in line
    ]
    taught = [line for line in logged if 'decode.loss_pseudo' in line]
    late = (
        (lambda line: line['epoch'] == 2)
        if by_epoch
        else (lambda line: (line['iter'] - 1) % 7 >= 4)
    )
    assert taught == [line for line in logged if late(line)]
    assert any(line['decode.pseudo_share'] > 0 for line in taught)


GATHERED = """
optimizer_config = dict(
    type='GradientCumulativeOptimizerHook', cumulative_iters=3)
"""


@pytest.mark.slow
@pytest.mark.parametrize('by_epoch', [True, False])
def test_gathered_gradients_outlive_a_kill(root, tmp_path, by_epoch):
    """A snapshot lies between two steps of the optimizer."""
    extra = GATHERED + (
        f"\ncustom_hooks = [dict(type='StopAt')]\n"
        f'runner.update(by_epoch={by_epoch}, sample_rounds=2)\n'
        f"workflow = [('train', {3 if by_epoch else 8}), ('query', 1)]\n"
        'checkpoint_config = dict(interval=2)\n'
    )
    config = write_config(root, extra=extra)
    whole, cut = tmp_path / 'whole', tmp_path / 'cut'
    StopAt.left[:] = []
    assert run(config, whole) == 0
    StopAt.left[:] = [5]
    with pytest.raises(KeyboardInterrupt):
        run(config, cut)
    assert run(config, cut) == 0
    assert compare(whole, cut).differences() == []


@pytest.mark.slow
def test_two_processes_agree(tmp_path, monkeypatch):
    """The networks of the ranks are compared before each query."""
    extra = ALL + WEAK + 'runner.update(sample_rounds=2)\n'
    monkeypatch.setitem(SCENARIOS, 'all', dict(extra=extra, processes=2))
    run = Run('all', tmp_path / 'all', tmp_path / 'images')
    run.finish()
    assert len(list((run.work_dir / 'labels').glob('*.npz'))) == 2


@PIPELINES.register_module()
class CutLabelsAlone:
    """A step that forgets maps beside the labels."""

    def __call__(self, results):
        for key in ('img', 'gt_semantic_seg'):
            results[key] = results[key][:20, :28]
        return results


@pytest.mark.parametrize(
    ('extra', 'said'),
    [
        (
            'active_learning.update(pseudo_labels=dict(threshold=0.9))\n',
            'pseudo_labels: wanted active_learning.average beside it',
        ),
        (
            ALL + "runner.update(sample_mode='image')\n",
            "pseudo_labels: not together with sample_mode='image'",
        ),
        (WEAK, "'img_weak' is for the teacher of active_learning.pseudo_l"),
        (
            ALL + WEAK + 'train_pipeline[3], train_pipeline[6] = '
            'train_pipeline[6], train_pipeline[3]\n',
            'wanted KeepWeakView after all steps that move pixels',
        ),
        (
            ALL + WEAK + "train_pipeline[-1]['keys'] = ['img', "
            "'gt_semantic_seg']\n",
            "wanted 'img_weak' among the keys of Collect",
        ),
        (
            ALL + "train_pipeline[2]['ratio_range'] = (1.2, 1.4)\n"
            "train_pipeline[3] = dict(type='CutLabelsAlone')\n",
            "move all maps named in results['seg_fields']",
        ),
        (
            ALL + "model['decode_head'].update(out_channels=1, threshold=.3,"
            "num_classes=2, loss_decode=dict(type='CrossEntropyLoss', "
            "use_sigmoid=True))\nfor key in ('train', 'query', 'val'):\n"
            "    data[key]['classes'] = ('a', 'b')\n",
            'wanted a decode head with a channel for each class',
        ),
        (
            "custom_hooks = [dict(type='EMAHook')]\n"
            'runner.update(by_epoch=False)\n',
            'custom_hooks[0]: EMAHook puts its average in place after epochs',
        ),
        (
            "custom_hooks = [dict(type='EMAHook')]\n"
            'active_learning.update(average=True)\n',
            'EMAHook not together with active_learning.average',
        ),
        (
            'active_learning.update(average=dict(decay=1))\n',
            'average.decay: wanted a number from 0 to below 1; got 1',
        ),
        (
            'active_learning.update(average=dict(momentum=0.1))\n',
            'active_learning.average.momentum: unknown key',
        ),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_bought(
    root, tmp_path, capfd, extra, said
):
    work_dir = tmp_path / 'run'
    assert run(write_config(root, extra='\n' + extra), work_dir) == 2
    error = capfd.readouterr().err
    assert said in error
    assert 'Traceback' not in error
    assert not (work_dir / 'labels').exists()
