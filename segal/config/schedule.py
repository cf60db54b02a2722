"""Settle evaluation, checkpoints, optimizer and learning rate."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from mmcv import Config
from mmcv.runner import HOOKS

from segal.config.kinds import FromOne, accepts, wanted
from segal.config.rates import schedule_hooks
from segal.config.schema import Phase
from segal.config.shapes import find
from segal.errors import nearest, short


def unit_of(by_epoch: bool) -> str:
    """Name the unit of the workflow's lengths."""
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
        elif not accepts(FromOne, interval):
            problems.append(
                f'{name}.interval: wanted {wanted(FromOne)}, in '
                f'{unit_of(by_epoch)}; got {interval!r}'
            )
        if section.get('by_epoch', by_epoch) != by_epoch:
            notes.append(
                f'{name}.by_epoch: {section["by_epoch"]} is read as '
                f'{by_epoch}; the interval of {interval} counts '
                f'{unit_of(by_epoch)}, as the workflow does'
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
    return _settle_unit(cfg.lr_config, 'lr', by_epoch), []


def settle_momentum(cfg: Config, by_epoch: bool) -> list[str]:
    """Set a momentum schedule to count as the workflow, in place."""
    schedule = cfg.get('momentum_config')
    policy = find(schedule, 'policy')[1]
    if not isinstance(policy, str):
        return []  # reported where the hook is built
    return _settle_unit(schedule, 'momentum', by_epoch)


def _settle_unit(schedule: Any, of: str, by_epoch: bool) -> list[str]:
    """Set the unit of a schedule where its config names none, in place.

    Some policies of mmcv (OneCycle, cyclic) count iterations alone, in runs
    of epochs too.
    """
    if schedule.get('by_epoch') and not by_epoch:
        return [
            f'{of}_config.by_epoch: wanted False, since runner.by_epoch=False '
            'counts iterations; got True'
        ]
    if 'by_epoch' in schedule:
        return []
    try:
        own = bool(schedule_hooks(schedule, of)[0].by_epoch)
    except Exception:  # reported where it is built
        own = True
    schedule['by_epoch'] = by_epoch and own
    return []


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
    odd = _paramwise(optimizer)
    if odd:
        return odd
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


_PARAMWISE = frozenset(
    {
        *('custom_keys', 'bias_lr_mult', 'bias_decay_mult'),
        *('norm_decay_mult', 'dwconv_decay_mult', 'dcn_offset_lr_mult'),
        'bypass_duplicate',
    }
)
"""Keys of mmcv's DefaultOptimizerConstructor, which it does not check."""


def _paramwise(optimizer: Mapping[str, Any]) -> list[str]:
    """Find keys of ``paramwise_cfg`` that mmcv's constructor ignores."""
    section = optimizer.get('paramwise_cfg')
    ours = optimizer.get('constructor', 'DefaultOptimizerConstructor')
    if ours != 'DefaultOptimizerConstructor' or not isinstance(
        section, Mapping
    ):
        return []
    where = 'optimizer.paramwise_cfg'
    problems = [
        f'{where}.{key}: unknown key' + nearest(key, _PARAMWISE)
        for key in section
        if key not in _PARAMWISE
    ]
    custom = section.get('custom_keys')
    for name, one in custom.items() if isinstance(custom, Mapping) else ():
        problems += [
            f'{where}.custom_keys[{name!r}].{key}: unknown key'
            + nearest(key, ('lr_mult', 'decay_mult'))
            for key in (one if isinstance(one, Mapping) else ())
            if key not in ('lr_mult', 'decay_mult')
        ]
    return problems
