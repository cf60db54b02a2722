"""Measure averaged weights and pseudo-labels in a training iteration.

Prints processor seconds, as medians over iterations of which every second is
a plain one; the hooks are those of a run, the images are made up.

Usage: python tools/benchmark/training_cost.py [--size 360 480] [--pairs 8]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from common import reference_network
from mmcv.parallel import DataContainer
from mmcv.runner import EpochBasedRunner
from torch import nn

from segal.active.dataset.active_dataset import UNASKED
from segal.hooks.averaging import AveragingHook
from segal.hooks.pseudo_labels import PseudoLabelHook


class Runner(EpochBasedRunner):
    """The attributes of a runner that the hooks read."""

    def __init__(self, model: nn.Module, batch: dict[str, Any]) -> None:
        self.model = model
        self.batch = batch
        self.context: Any = SimpleNamespace(first_iter=0)
        self._iter = self._epoch = 0


def made_up(batch: int, size: tuple[int, int]) -> dict[str, Any]:
    """Make a batch of noise images with 20 labels each."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.full((batch, 1, *size), 255)
    labels.view(batch, -1)[:, :20] = 1
    unasked = torch.zeros(batch, 1, *size, dtype=torch.uint8)
    image = torch.randn(batch, 3, *size, generator=draw)
    return {
        'img': DataContainer([image], stack=True),
        'img_metas': DataContainer([[{}] * batch], cpu_only=True),
        'gt_semantic_seg': DataContainer([labels], stack=True),
        UNASKED: DataContainer([unasked], stack=True),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--size', type=int, nargs=2, default=(360, 480))
    parser.add_argument('--batch', type=int, default=4)
    parser.add_argument('--pairs', type=int, default=8)
    args = parser.parse_args()
    model = reference_network().train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    runner = Runner(model, made_up(args.batch, tuple(args.size)))
    averaging = AveragingHook()
    teacher = PseudoLabelHook(threshold=0.0, weight=1.0, begin=0)

    def step() -> None:
        found = {key: value.data[0] for key, value in runner.batch.items()}
        found.pop(UNASKED)
        losses = model.forward_train(**found)  # type: ignore[operator]
        loss, _ = model._parse_losses(losses)  # type: ignore[operator]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def timed(call: Callable[..., Any], *arguments: Any) -> float:
        begin = time.process_time()
        call(*arguments)
        return time.process_time() - begin

    averaging.before_run(runner)
    teacher.before_run(runner)
    parts: dict[str, list[float]] = {
        name: [] for name in ('plain', 'teacher', 'average', 'taught')
    }
    for _ in range(args.pairs + 1):  # the first is for warming up
        averaging._swap()
        parts['plain'].append(timed(step))
        averaging._swap()
        runner.data_batch = dict(runner.batch)
        parts['teacher'].append(timed(teacher.before_train_iter, runner))
        before = timed(averaging.before_train_iter, runner)
        parts['taught'].append(timed(step))
        after = timed(averaging.after_train_iter, runner)
        teacher.after_train_iter(runner)
        parts['average'].append(before + after)
        runner._iter += 1
    plain, ask, mean, taught = (
        statistics.median(seconds[1:]) for seconds in parts.values()
    )
    print(
        f'batch {args.batch} of {args.size[0]}x{args.size[1]}, median of '
        f'{args.pairs}: a plain iteration {plain:.3f} s; the average '
        f'{1000 * mean:.1f} ms ({100 * mean / plain:+.1f} %), the teacher '
        f'{ask:.3f} s ({100 * ask / plain:+.0f} %), the loss of its labels '
        f'{taught - plain:.3f} s ({100 * (taught - plain) / plain:+.0f} %)'
    )


if __name__ == '__main__':
    main()
