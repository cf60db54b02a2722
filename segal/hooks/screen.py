"""Show the training of a round on the screen."""

from __future__ import annotations

from collections import deque
from typing import Any

from mmcv.runner import Hook

from segal import terminal

MEAN_OF = 20
"""Iterations that the loss is a mean of."""


class ScreenHook(Hook):
    """Count the iterations of a phase on the screen, and show the loss."""

    def __init__(self) -> None:
        self._losses: deque[float] = deque(maxlen=MEAN_OF)

    def before_run(self, runner: Any) -> None:
        """Show the bar, at the iterations that are done."""
        context = runner.context
        self._bar = terminal.progress(
            context.span.iters,
            'train',
            'iteration',
            initial=runner.iter - context.first_iter,
            disable=True,
        ).__enter__()

    def after_train_iter(self, runner: Any) -> None:
        """Count an iteration."""
        loss = (runner.outputs or {}).get('log_vars', {}).get('loss')
        if loss is not None:
            self._losses.append(loss)
            mean = sum(self._losses) / len(self._losses)
            self._bar.set_postfix_str(f'loss {mean:.3f}')
        self._bar.update()

    def after_run(self, runner: Any) -> None:
        """Take the bar away."""
        self._bar.__exit__(None, None, None)
