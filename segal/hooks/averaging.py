"""Average the weights over the iterations of a phase."""

from __future__ import annotations

from typing import Any

import torch
from mmcv.runner import HOOKS, Hook
from torch import Tensor, nn

from segal.runner.inner import unwrapped

BESIDE = 'ema_weights'
"""Name of the module that holds the second set of weights."""


@HOOKS.register_module()
class AveragingHook(Hook):
    """Replace the weights by their moving average between iterations.

    Evaluation, snapshots, checkpoints, ``final.pth`` and the query all use
    the averaged weights. A second module holds the trained weights; both are
    swapped for each iteration. mmcv's ``EMAHook`` swaps only at the ends of
    epochs, and does not average the statistics of batch norm.

    After iteration t (from 1) the average a of the weights w becomes
    ``d a + (1 - d) w``, with ``d = min(decay, t / (9 + t))``: a short memory
    at first, so that the first weights are soon forgotten. Running mean and
    variance of batch norm are averaged too; integers are not.

    A phase that starts from the last round's weights starts from their
    average. Needs memory for one more copy of the weights.

    Source: Tarvainen and Valpola, Mean Teachers Are Better Role Models,
    NeurIPS 2017. There, statistics are not averaged, and the memory at first
    is the whole past.

    Args:
        decay: Share of the old average that is kept, in [0, 1).
    """

    def __init__(self, decay: float = 0.999) -> None:
        self.decay = decay
        self._places: list[tuple[dict[str, Any], str, Tensor]] = []

    def before_run(self, runner: Any) -> None:
        """Copy the weights; a snapshot may then be loaded."""
        model = unwrapped(runner.model)
        beside = nn.Module()
        self._places = []
        for name, value in [*model.named_parameters(), *model.named_buffers()]:
            if value.is_floating_point():
                copy = value.detach().clone()
                beside.register_buffer(name.replace('.', '/'), copy)
                path, _, own = name.rpartition('.')
                learnt = isinstance(value, nn.Parameter)
                kind = '_parameters' if learnt else '_buffers'
                held = vars(model.get_submodule(path))[kind]
                self._places.append((held, own, copy))
        model.add_module(BESIDE, beside)

    def before_train_iter(self, runner: Any) -> None:
        """Put the trained weights into the network."""
        self._swap()

    def after_train_iter(self, runner: Any) -> None:
        """Update the average, and put it into the network."""
        t = runner.iter + 1 - runner.context.first_iter
        decay = min(self.decay, t / (9 + t))
        trained = [held[name].detach() for held, name, _ in self._places]
        averages = [average for _, _, average in self._places]
        # as torch's own averages: all tensors of a GPU in a few launches
        torch._foreach_lerp_(averages, trained, 1 - decay)
        self._swap()

    def after_run(self, runner: Any) -> None:
        """Remove the second module; the averaged weights stay."""
        delattr(unwrapped(runner.model), BESIDE)
        self._places = []

    def _swap(self) -> None:
        for held, name, other in self._places:
            one = held[name]  # by name: EMANet replaces its bases
            one.data, other.data = other.data, one.data
