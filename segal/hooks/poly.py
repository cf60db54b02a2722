from __future__ import annotations

from typing import Any

from mmcv.runner import HOOKS
from mmcv.runner.hooks.lr_updater import PolyLrUpdaterHook


@HOOKS.register_module()
class PolyOverLrUpdaterHook(PolyLrUpdaterHook):
    """Decay the learning rate by poly over a length other than training's.

    Written ``lr_config=dict(policy='PolyOver', length=62500, power=0.9)``.
    mmcv's ``'poly'`` ends with the training.

    Args:
        length: Epochs or iterations until the learning rate is ``min_lr``;
            training may end earlier.
        **kwargs: As for mmcv's.
    """

    def __init__(self, length: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.length = length

    def get_lr(self, runner: Any, base_lr: float) -> float:
        """Return the learning rate of the next epoch or iteration."""
        progress = runner.epoch if self.by_epoch else runner.iter
        left = max(0.0, 1 - progress / self.length) ** self.power
        return (base_lr - self.min_lr) * left + self.min_lr
