"""The scaled loss gives the steps of the plain one."""

from types import SimpleNamespace

import pytest
import torch
from mmcv.runner import OptimizerHook
from mmcv.runner.log_buffer import LogBuffer

from segal.hooks.scaled import ScaledOptimizerHook


def steps(hook, count=3, scaler=None, infinite=()):
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 1)
    runner = SimpleNamespace(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
        meta=dict(scaler=scaler) if scaler else {},
        log_buffer=LogBuffer(),
        scaler=None,
    )
    hook.before_run(runner)
    for number in range(count):
        loss = model(torch.randn(4, 3)).square().mean()
        if number in infinite:
            loss = loss * float('inf')
        runner.outputs = dict(loss=loss, num_samples=4)
        hook.after_train_iter(runner)
    return runner


@pytest.mark.parametrize('clip', [None, dict(max_norm=0.1)])
def test_steps_are_those_of_the_plain_hook(clip):
    plain = steps(OptimizerHook(clip))
    scaled = steps(ScaledOptimizerHook(clip))
    assert torch.allclose(
        plain.model.weight, scaled.model.weight, rtol=1e-6, atol=0
    )
    if clip:
        assert plain.log_buffer.val_history['grad_norm'] == pytest.approx(
            scaled.log_buffer.val_history['grad_norm']
        )


def test_an_infinite_step_is_left_out_and_the_scale_goes_on_from_a_snapshot():
    runner = steps(ScaledOptimizerHook(), infinite=(2,))
    assert torch.isfinite(runner.model.weight).all()
    assert torch.equal(
        runner.model.weight, steps(ScaledOptimizerHook(), 2).model.weight
    )
    state = runner.scaler.state_dict()
    assert state['scale'] == 2.0**15
    again = steps(ScaledOptimizerHook(), 0, state)
    assert again.scaler.state_dict() == state
