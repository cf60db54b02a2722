"""Settle evaluation, checkpoints, optimizer and learning rate."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from mmcv import Config
from mmcv.runner import HOOKS

from segal.config.schema import Phase
from segal.errors import nearest, short


def _counted_in(by_epoch: bool) -> str:
    return 'epochs' if by_epoch else 'iterations'


def settle_intervals(
    cfg: Config, by_epoch: bool, phases: tuple[Phase, ...]
) -> tuple[list[str], list[str]]:
    """Set evaluation and checkpoints to count as the workflow, in place.

    Returns:
        Problems and notes.
    """
    problems, notes = [], []
    longest = max((phase.train for phase in phases), default=1)
    defaults: dict[str, dict[str, Any]] = {
        'evaluation': {'metric': 'mIoU', 'pre_eval': True},
        'checkpoint_config': {},
    }
    for name, default in defaults.items():
        section = cfg.get(name)
        if section is None or section is False:
            cfg[name] = section = type(cfg._cfg_dict)()
        if not isinstance(section, Mapping):
            problems.append(f'{name}: wanted a dict; got {short(section)}')
            continue
        interval = section.get('interval')
        if 'interval' not in section:
            cfg[name]['interval'] = longest
            if name == 'evaluation':
                notes.append(
                    'evaluation.interval: not given, so only the end of '
                    'each phase is evaluated'
                )
        elif (
            not isinstance(interval, int)
            or isinstance(interval, bool)
            or interval < 1
        ):
            problems.append(
                f'{name}.interval: wanted an integer, 1 or more, in '
                f'{_counted_in(by_epoch)}; got {interval!r}'
            )
        if section.get('by_epoch', by_epoch) != by_epoch:
            notes.append(
                f'{name}.by_epoch: {section["by_epoch"]} is read as '
                f'{by_epoch}; the interval of {interval} counts '
                f'{_counted_in(by_epoch)}, as the workflow does'
            )
        cfg[name]['by_epoch'] = by_epoch
        for key, value in default.items():
            cfg[name].setdefault(key, value)
    return problems, notes


def settle_lr(cfg: Config, by_epoch: bool) -> tuple[list[str], list[str]]:
    """Check the learning rate schedule, in place."""
    schedule = cfg.get('lr_config')
    if schedule is None:
        cfg.lr_config = {'policy': 'fixed', 'by_epoch': by_epoch}
        return [], ['lr_config: not given, the learning rate stays constant']
    if not isinstance(schedule, Mapping):
        return [f'lr_config: wanted a dict; got {short(schedule)}'], []
    if 'policy' not in schedule:
        return [
            "lr_config.policy: required, such as 'poly', 'step' or 'fixed'; "
            'got nothing'
        ], []
    policies = _policies()
    policy = schedule['policy']
    if not isinstance(policy, str):
        return [], []  # reported by check_shapes
    if policy not in policies:
        return [
            f'lr_config.policy: {policy!r} is not registered'
            + nearest(policy, {name.lower() for name in policies})
        ], []
    if schedule.get('by_epoch') and not by_epoch:
        return [
            'lr_config.by_epoch: wanted False, since runner.by_epoch=False '
            'counts iterations; got True'
        ], []
    cfg.lr_config.setdefault('by_epoch', by_epoch)
    return [], []


def _policies() -> set[str]:
    """List the policies of mmcv's LrUpdaterHooks, as mmcv spells them."""
    ending = 'LrUpdaterHook'
    names = {
        name.removesuffix(ending)
        for name in HOOKS.module_dict
        if name.endswith(ending) and name != ending
    }
    lower = {name.lower() for name in names if name == name.title()}
    return names | lower


def check_optimizer(cfg: Config) -> list[str]:
    """Check that the optimizer exists and takes its arguments."""
    from mmcv.runner.optimizer import OPTIMIZERS

    if cfg.get('optimizer_config') is None:
        cfg.optimizer_config = {}
    optimizer = cfg.get('optimizer')
    if not isinstance(optimizer, Mapping) or 'type' not in optimizer:
        return [
            "optimizer: wanted dict(type='SGD', lr=..., ...); got "
            f'{short(optimizer)}'
        ]
    kind = optimizer['type']
    cls = OPTIMIZERS.get(kind) if isinstance(kind, str) else kind
    if cls is not None and not inspect.isclass(cls):
        return []  # reported by check_shapes
    if cls is None:
        return [
            f'optimizer.type: {kind!r} is not registered'
            + nearest(kind, OPTIMIZERS.module_dict)
        ]
    parameters = inspect.signature(cls).parameters
    if any(
        p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()
    ):
        return []
    valid = {*parameters, 'type', 'constructor', 'paramwise_cfg'} - {'params'}
    return [
        f'optimizer.{key}: {kind} has no such argument' + nearest(key, valid)
        for key in optimizer
        if key not in valid
    ]
