"""The average of the weights stands in for them, exactly."""

import copy
import json
import sys
from types import SimpleNamespace

import pytest
import torch
from mmcv.runner import HOOKS, Hook
from torch import nn

from segal.active.active_loop import ActiveLearningLoop
from segal.distributed import ranks
from segal.hooks.averaging import BESIDE, AveragingHook
from segal.rounds import read_rounds
from segal.train_active_learning import main
from tests.tiny import write_config, write_images
from tests.tools.load import tool


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3)
        self.register_buffer('bases', torch.zeros(3))

    def forward(self, image):
        seen = self.norm(self.conv(image))
        # Another tensor by the same name, as in mmseg's EMANet.
        self.bases = 0.9 * self.bases + 0.1 * seen.detach().amax((0, 2, 3))
        return seen


def network():
    torch.manual_seed(0)
    return Network()


def runner_of(model, first=0):
    return SimpleNamespace(
        model=model, iter=first, context=SimpleNamespace(first_iter=first)
    )


def floats(model):
    return {
        name: value.clone()
        for name, value in model.state_dict().items()
        if value.is_floating_point() and not name.startswith(BESIDE)
    }


def one_iteration(hook, runner, draw):
    """Train for an iteration.

    Returns:
        The weights that are trained, before and after.
    """
    hook.before_train_iter(runner)
    before = floats(runner.model)
    with torch.no_grad():
        for value in runner.model.parameters():
            value += torch.randn(value.shape, generator=draw)
    runner.model(torch.randn(2, 2, 4, 4, generator=draw))  # moves batch norm
    after = floats(runner.model)
    hook.after_train_iter(runner)
    runner.iter += 1
    return before, after


@pytest.mark.parametrize('first', [0, 40])
def test_between_iterations_it_is_the_average(first):
    """By hand: 0.1 of the old at first, then 2/11, 3/12, 4/13, then 0.3."""
    model, hook = network(), AveragingHook(decay=0.3)
    runner = runner_of(model, first)
    wanted, trained = floats(model), floats(model)
    hook.before_run(runner)
    draw = torch.Generator().manual_seed(1)
    for decay in (1 / 10, 2 / 11, 3 / 12, 0.3, 0.3):
        before, after = one_iteration(hook, runner, draw)
        for name in trained:
            assert torch.equal(before[name], trained[name])
            wanted[name] = decay * wanted[name] + (1 - decay) * after[name]
        trained = after
        now = floats(model)
        for name in wanted:
            torch.testing.assert_close(now[name], wanted[name])
            assert not torch.equal(now[name], trained[name])
    assert int(model.norm.num_batches_tracked) == 5
    hook.after_run(runner)
    assert not [n for n in model.state_dict() if n.startswith(BESIDE)]
    torch.testing.assert_close(floats(model), wanted)


def test_it_goes_on_from_a_snapshot():
    """What lies in a ``state_dict`` is all that it needs."""
    model, hook = network(), AveragingHook(decay=0.9)
    runner = runner_of(model)
    hook.before_run(runner)
    draw = torch.Generator().manual_seed(1)
    for _ in range(3):
        one_iteration(hook, runner, draw)
    snapshot = copy.deepcopy(model.state_dict())
    other, again = network(), AveragingHook(decay=0.9)
    later = runner_of(other)
    again.before_run(later)
    other.load_state_dict(snapshot)
    later.iter = 3
    draws = [torch.Generator().manual_seed(2) for _ in range(2)]
    one_iteration(hook, runner, draws[0])
    one_iteration(again, later, draws[1])
    for one, two in zip(
        model.state_dict().values(), other.state_dict().values(), strict=True
    ):
        assert torch.equal(one, two)


@HOOKS.register_module()
class Witness(Hook):
    """Averages on its own, of what it sees after each step."""

    seen = []

    def before_run(self, runner):
        self.mean = floats(runner.model.module)

    def after_train_iter(self, runner):
        t = runner.iter + 1 - runner.context.first_iter
        decay = min(0.6, t / (9 + t))
        for name, value in floats(runner.model.module).items():
            self.mean[name].lerp_(value, 1 - decay)

    def after_run(self, runner):
        self.seen.append(self.mean)


AVERAGED = """
active_learning.update(average=dict(decay=0.6), keep_checkpoints=True)
custom_hooks = [dict(type='Witness', priority='ABOVE_NORMAL')]
"""
BY_ITERATION = """
runner.update(by_epoch=False)
workflow = [('train', 7), ('query', 1)]
evaluation = dict(interval=3, metric='mIoU')
"""


@pytest.mark.parametrize('extra', ['', BY_ITERATION], ids=['epoch', 'iter'])
def test_evaluation_query_and_result_have_the_average(
    extra, tmp_path, monkeypatch
):
    Witness.seen.clear()
    asked = []
    step = ActiveLearningLoop.step

    def spied(self, heuristic, make_selector, wrapper, *others):
        if wrapper is not None:
            asked.append(ranks.state_hash(wrapper.model))
        return step(self, heuristic, make_selector, wrapper, *others)

    monkeypatch.setattr(ActiveLearningLoop, 'step', spied)
    config = write_config(write_images(tmp_path), extra=AVERAGED + extra)
    work_dir = tmp_path / 'run'
    assert main([str(config), '--work-dir', str(work_dir)]) == 0
    assert len(Witness.seen) == 3
    assert len(asked) == 2
    for number, mean in enumerate(Witness.seen):
        file = work_dir / f'round_{number:03d}' / 'final.pth'
        state = torch.load(file, weights_only=True)['state_dict']
        assert not [name for name in state if name.startswith('ema')]
        for name, value in mean.items():
            assert torch.equal(state[name], value)
        if number < 2:
            box = SimpleNamespace(state_dict=lambda state=state: state)
            assert ranks.state_hash(box) == asked[number]
    (kept,) = file.parent.glob('[ei]*_[27].pth')  # mmcv's of that moment
    other = torch.load(kept, weights_only=True)['state_dict']
    for name, value in state.items():
        assert torch.equal(other[name], value)
    out = tmp_path / 'metrics.json'
    command = ['test.py', str(config), str(file), '--out', str(out)]
    monkeypatch.setattr(sys, 'argv', command)
    assert tool('test').main() == 0
    row = read_rounds(work_dir)[-1]
    assert json.loads(out.read_text())['mIoU'] == row['mIoU']


def test_mmcvs_own_is_in_place_before_checkpoints_are_written(tmp_path):
    config = write_config(
        write_images(tmp_path),
        extra="""
custom_hooks = [dict(type='EMAHook', momentum=0.1)]
runner.update(sample_rounds=1)
active_learning.update(keep_checkpoints=True)
""",
    )
    work_dir = tmp_path / 'run'
    assert main([str(config), '--work-dir', str(work_dir)]) == 0
    states = [
        torch.load(work_dir / 'round_000' / name, weights_only=True)
        for name in ('final.pth', 'epoch_2.pth')
    ]
    for name, value in states[0]['state_dict'].items():
        assert torch.equal(states[1]['state_dict'][name], value), name
