"""Read ``speed``, and settle what mmcv's sections have to say for it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

import torch
from mmcv import Config
from mmcv.runner.optimizer import OPTIMIZERS

from segal.config.values import Values

SCALED = 'ScaledOptimizerHook'
"""The optimizer hook of fp16."""


def settle_speed(values: Values) -> list[str]:
    """Check ``speed`` beside mmcv's own sections, and complete these."""
    cfg, precision = values.cfg, values['speed.precision']
    problems = []
    if precision != 'fp32' and cfg.get('fp16') is not None:
        problems.append(
            f'speed.precision: wanted one of speed.precision={precision!r} '
            "and mmcv's fp16=dict(...), got both; leave one of them out"
        )
    hook = cfg.get('optimizer_config') or {}
    if precision == 'fp16' and isinstance(hook, Mapping):
        kind = hook.get('type', 'OptimizerHook')
        if kind not in ('OptimizerHook', SCALED):
            problems.append(
                "speed.precision: wanted mmcv's plain optimizer hook with "
                f"'fp16', which scales the loss; got {kind} in "
                "optimizer_config.type; leave that out, or write 'bf16'"
            )
        elif not problems:
            cfg.optimizer_config = {**hook, 'type': SCALED}
    if values['speed.fused']:
        problems += _fuse(cfg)
    return problems


def _fuse(cfg: Config) -> list[str]:
    """Write ``fused`` into the optimizer's own section."""
    optimizer = cfg.get('optimizer')
    if not isinstance(optimizer, Mapping):
        return []  # reported elsewhere
    kind = optimizer.get('type')
    cls = OPTIMIZERS.get(kind) if isinstance(kind, str) else kind
    if not inspect.isclass(cls):
        return []
    if 'fused' not in inspect.signature(cls).parameters:
        able = ', '.join(
            sorted(
                name
                for name, one in OPTIMIZERS.module_dict.items()
                if 'fused' in inspect.signature(one).parameters
            )
        )
        return [
            f'speed.fused: wanted an optimizer that has it ({able}), got '
            f'{kind}; leave speed.fused out'
        ]
    if optimizer.get('fused') is False:
        return ['speed.fused: True contradicts optimizer.fused=False']
    cfg.optimizer['fused'] = True
    return []


def slow_on(precision: str, device: torch.device) -> str:
    """Warn of a half precision that a processor only imitates, or ''."""
    known = getattr(torch.ops.mkldnn, '_is_mkldnn_bf16_supported', None)
    if precision != 'bf16' or device.type != 'cpu' or known is None or known():
        return ''
    return (
        "speed.precision: this processor does not have 'bf16' and imitates "
        "it, which is far slower than 'fp32'"
    )


def slow_colours(on_device: bool, device: torch.device) -> str:
    """Warn of colours that a CPU changes more slowly than workers, or ''."""
    if not on_device or device.type != 'cpu':
        return ''
    return (
        'speed.augment_on_device: the network is trained on a CPU, where '
        'colours take several times as long as in the workers; leave '
        'augment_on_device out there'
    )


def check_device(
    precision: str, gpu_memory: int | None, device: torch.device
) -> list[str]:
    """Check that a device has what ``speed`` asks for.

    Args:
        precision: Of ``speed.precision``.
        gpu_memory: Of ``speed.gpu_memory``, in MiB.
        device: Where the network is trained.
    """
    problems = []
    on_gpu = device.type == 'cuda'
    if precision == 'fp16' and not on_gpu:
        problems.append(
            "speed.precision: wanted a GPU with 'fp16', got none "
            "(torch.cuda.is_available() is False); write 'bf16' or 'fp32'"
        )
    able = torch.cuda.is_bf16_supported
    if precision == 'bf16' and on_gpu and not able(including_emulation=False):
        name = torch.cuda.get_device_name(device)
        problems.append(
            f"speed.precision: wanted a GPU that has 'bf16', got {name}; "
            "write 'fp16' or 'fp32'"
        )
    if gpu_memory is not None and on_gpu:
        whole = torch.cuda.get_device_properties(device).total_memory >> 20
        if gpu_memory > whole:
            problems.append(
                f'speed.gpu_memory: wanted at most the {whole} MiB of the '
                f'GPU, got {gpu_memory}'
            )
    return problems
