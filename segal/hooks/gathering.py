"""Gather gradients within a phase, where one schedule spans several."""

from __future__ import annotations

from functools import partial
from typing import Any


def gather_within_phase(runner: Any, begin: int) -> None:
    """Let mmcv's hooks of gathered gradients divide by what a step sums.

    They step at multiples of ``cumulative_iters``, counted over the schedule,
    and at the end of a phase. So the first and the last step of a phase may
    sum fewer; mmcv knows only the end of the schedule.

    Args:
        runner: With all hooks.
        begin: The iteration that training goes on with.
    """
    for hook in runner.hooks:
        count = getattr(hook, 'cumulative_iters', 1)
        if count > 1 and hasattr(hook, '_get_loss_factor'):
            hook._get_loss_factor = partial(_summed, count)
            # Otherwise mmcv warns of lost gradients, which a snapshot holds.
            hook.initialized = bool(begin % count)


def _summed(count: int, runner: Any) -> int:
    """Count the iterations of the phase whose gradients the next step sums."""
    span = runner.context.span
    begin = runner.iter // count * count
    return min(begin + count, span.last) - max(begin, span.first_iter)
