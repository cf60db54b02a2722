"""Hooks of a round; importing this registers them in MMCV's HOOKS."""

import segal.registry  # noqa: F401  (lets a user's class win a name)
from segal.hooks.averaging import AveragingHook
from segal.hooks.curve import CurveHook
from segal.hooks.poly import PolyOverLrUpdaterHook
from segal.hooks.pseudo_labels import PseudoLabelHook
from segal.hooks.scaled import ScaledOptimizerHook
from segal.hooks.visualize import VisualizeHook
from segal.hooks.wandb import WandbLoggerHookWithVal

__all__ = [
    'AveragingHook',
    'CurveHook',
    'PolyOverLrUpdaterHook',
    'PseudoLabelHook',
    'ScaledOptimizerHook',
    'VisualizeHook',
    'WandbLoggerHookWithVal',
]
