"""A moving average of the weights, which stands in for them."""

from __future__ import annotations

from typing import Any

from mmcv.runner import HOOKS, Hook
from torch import Tensor, nn

from segal.runner.inner import unwrapped

BESIDE = 'ema_weights'
"""Where the other set of weights lies in a network, and in its snapshots."""


@HOOKS.register_module()
class AveragingHook(Hook):
    """Between two iterations, the network is the average of its past.

    So evaluation, snapshots, checkpoints, ``final.pth`` and the query all
    have the averaged weights, by epoch and by iteration. The weights that
    are trained lie beside it meanwhile; for an iteration, the two change
    places. mmcv's ``EMAHook`` changes them at the ends of epochs alone, and
    leaves batch norm's statistics as they are, which belong to other weights.

    After iteration t (from 1) the average is ``d a + (1 - d) w``, with
    ``d = min(decay, t / (9 + t))``: its memory is short at first, so that
    it leaves the first weights behind. Batch norm's running mean and
    variance are averaged likewise; integers are left alone.

    A phase that starts from the last round's weights starts from their
    average. Costs one more copy of the weights.

    Source: Tarvainen and Valpola, Mean Teachers Are Better Role Models,
    NeurIPS 2017, where statistics are not averaged and the memory at first is
    the whole past.

    Args:
        decay: Share of the old average that is kept, in [0, 1).
    """

    def __init__(self, decay: float = 0.999) -> None:
        self.decay = decay
        self._places: list[tuple[dict[str, Any], str, Tensor]] = []

    def before_run(self, runner: Any) -> None:
        """Put a copy of the weights beside them; a snapshot may follow."""
        model = unwrapped(runner.model)
        beside = nn.Module()
        self._places = []
        for name, value in [*model.named_parameters(), *model.named_buffers()]:
            if value.is_floating_point():
                copy = value.detach().clone()
                beside.register_buffer(name.replace('.', '/'), copy)
                path, _, own = name.rpartition('.')
                module = model.get_submodule(path)
                held = vars(module)[
                    '_parameters'
                    if isinstance(value, nn.Parameter)
                    else '_buffers'
                ]
                self._places.append((held, own, copy))
        model.add_module(BESIDE, beside)

    def before_train_iter(self, runner: Any) -> None:
        """Train the weights, not their average."""
        self._swap()

    def after_train_iter(self, runner: Any) -> None:
        """Take the new weights in, and put the average in their place."""
        t = runner.iter + 1 - runner.context.first_iter
        decay = min(self.decay, t / (9 + t))
        for held, name, average in self._places:
            average.lerp_(held[name].detach(), 1 - decay)
        self._swap()

    def after_run(self, runner: Any) -> None:
        """Leave a plain network behind, of averaged weights."""
        delattr(unwrapped(runner.model), BESIDE)
        self._places = []

    def _swap(self) -> None:
        for held, name, other in self._places:
            one = held[name]  # by name: EMANet's bases are another every time
            one.data, other.data = other.data, one.data
