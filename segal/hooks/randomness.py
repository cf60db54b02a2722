"""Seed dropout from a key."""

from __future__ import annotations

from typing import Any

import torch
from mmcv.runner import HOOKS, Hook

from segal.distributed import ranks
from segal.seeding import key


@HOOKS.register_module()
class KeyedRandomnessHook(Hook):
    """Seed dropout from (seed, round, iteration, rank)."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def before_train_iter(self, runner: Any) -> None:
        """Seed torch on all devices."""
        number = key(
            self.seed,
            runner.context.round,
            runner.iter,
            ranks.rank(),
            'dropout',
        )
        torch.manual_seed(number % (1 << 63))
