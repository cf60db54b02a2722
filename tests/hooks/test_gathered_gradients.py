"""Gradients that are gathered in a phase amid one schedule."""

import logging
from pathlib import Path

import pytest
import torch
from mmcv.runner.hooks import GradientCumulativeOptimizerHook

from segal.config.spans import Span
from segal.hooks.gathering import gather_within_phase
from segal.runner.inner import RoundContext, RoundEpochRunner


class Slope(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def train_step(self, batch, optimizer):
        return dict(loss=(self.weight * batch).sum())


class Steps(torch.optim.SGD):
    """Plain descent that keeps the gradient of each step."""

    def step(self):
        (group,) = self.param_groups
        self.__dict__.setdefault('seen', []).append(
            group['params'][0].grad.item()
        )
        super().step()


@pytest.mark.parametrize(
    ('first', 'per_epoch', 'steps'),
    [
        (4, 3, 2),  # 4 to 7, and two at the end
        (6, 3, 2),  # two up to 7, then four
        (5, 2, 2),  # three up to 7, and one
        (7, 1, 2),  # one, and one
    ],
)
@pytest.mark.parametrize('schedule', [40, 12])
def test_each_step_is_the_mean_of_what_it_sums(
    first, per_epoch, steps, schedule, tmp_path
):
    """Two epochs amid a schedule, of batches with a gradient of 1 each."""
    model = Slope()
    optimizer = Steps(model.parameters(), lr=1.0)
    runner = RoundEpochRunner(
        model,
        optimizer=optimizer,
        work_dir=str(tmp_path),
        logger=logging.getLogger('gathered'),
        max_epochs=4,
    )
    span = Span(
        first, 2 * per_epoch, schedule, 2, per_epoch, schedule_epochs=4
    )
    runner.context = RoundContext(1, 2, Path(tmp_path), first, span)
    runner._iter, runner._epoch = first, 2
    runner.register_hook(GradientCumulativeOptimizerHook(cumulative_iters=4))
    gather_within_phase(runner, first)
    runner.fit([torch.ones(1)] * per_epoch)
    assert runner.iter == first + 2 * per_epoch
    assert optimizer.seen == pytest.approx([1.0] * steps)
    assert model.weight.grad is None
