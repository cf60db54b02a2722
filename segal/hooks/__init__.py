"""Hooks of a round; importing this registers them in MMCV's HOOKS."""

from segal.hooks.curve import CurveHook
from segal.hooks.visualize import VisualizeHook
from segal.hooks.wandb import WandbLoggerHookWithVal

__all__ = ['CurveHook', 'VisualizeHook', 'WandbLoggerHookWithVal']
