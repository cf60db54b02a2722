"""Check that the compiled ops that a network needs are there."""

from __future__ import annotations

import sys

import torch
from mmseg.models.losses import FocalLoss
from torch import nn

from segal.compiled_ops import MEND, Placeholder, are_missing

PLAIN_ON_CPU = ('MultiScaleDeformableAttention', 'FusedBiasLeakyReLU')
"""Classes of ``mmcv.ops`` that are plain PyTorch on a CPU."""


def check_ops(model: nn.Module, device: torch.device) -> list[str]:
    """Name each kind of part that needs a compiled op which is missing.

    A function of ``mmcv.ops`` that a module calls by itself is found when
    the preflight trains one iteration.
    """
    if not are_missing():
        return []
    on_cpu = device.type == 'cpu'
    places: dict[str, list[str]] = {}
    for place, module in model.named_modules():
        op = _op_of(module, on_cpu)
        if op:
            places.setdefault(op, []).append(place)
    return [
        f'model.{where[0]}{_more(where)}: {op} needs the compiled ops of '
        f'mmcv-full, {MEND}; or choose another part'
        for op, where in places.items()
    ]


def _op_of(module: nn.Module, on_cpu: bool) -> str:
    """Name the op that a module calls; empty: none that is compiled."""
    for kind in type(module).__mro__:
        if kind is FocalLoss and not on_cpu:
            return 'sigmoid_focal_loss'
        home = sys.modules.get(kind.__module__)
        if isinstance(getattr(home, 'ext_module', None), Placeholder):
            plain = on_cpu and kind.__name__ in PLAIN_ON_CPU
            return '' if plain else kind.__name__
    return ''


def _more(places: list[str]) -> str:
    """Count the places that are not named."""
    return f' and {len(places) - 1} more' if len(places) > 1 else ''
