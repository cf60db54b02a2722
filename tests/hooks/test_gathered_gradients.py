"""mmcv's hook of gathered gradients in a phase amid one schedule."""

import logging
from pathlib import Path

import torch
from mmcv.runner.hooks import GradientCumulativeOptimizerHook

from segal.config.spans import Span
from segal.runner.inner import RoundContext, RoundEpochRunner


class Slope(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def train_step(self, batch, optimizer):
        return dict(loss=(self.weight * batch).sum())


def test_a_phase_with_longer_epochs_than_those_before_steps_at_its_end(
    tmp_path,
):
    """Two epochs of 2 batches are over; two of 3 end at iteration 10 of 12."""
    model = Slope()
    runner = RoundEpochRunner(
        model,
        optimizer=torch.optim.SGD(model.parameters(), lr=1.0),
        work_dir=str(tmp_path),
        logger=logging.getLogger('gathered'),
        max_epochs=4,
    )
    span = Span(4, 6, 10, first_epoch=2, per_epoch=3, schedule_epochs=4)
    runner.context = RoundContext(1, 2, Path(tmp_path), 4, span)
    runner._iter, runner._epoch = 4, 2
    runner.register_hook(GradientCumulativeOptimizerHook(cumulative_iters=4))
    runner.fit([torch.ones(1)] * 3)
    assert runner.iter == 10
    # 4 batches of a quarter, and 2 of a half
    assert model.weight.item() == -2
    assert model.weight.grad is None
