"""Check the shape of mmcv's and mmseg's sections, and their numbers."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from mmcv import Config
from mmcv.runner import CheckpointHook

from segal.config.kinds import FromOne, FromZero, accepts, wanted
from segal.errors import short, unknown_keys

_LOADERS = (
    '',
    'train_dataloader.',
    'query_dataloader.',
    'val_dataloader.',
)
_COUNTS = {
    'samples_per_gpu': FromOne,
    'workers_per_gpu': FromZero,
}

CHECKPOINTS_KEPT = 2
"""Default of ``max_keep_ckpts`` in each round."""

_SAVED = {'meta', 'filename_tmpl', 'create_symlink', 'max_keep_ckpts', 'type'}
"""Further keys of CheckpointHook, beside its named arguments."""


def check_sections(cfg: Config) -> list[str]:
    """Check sections whose parts are built much later."""
    problems = []
    model = cfg.get('model')
    if not isinstance(model, Mapping) or 'type' not in model:
        problems.append(
            "model: required, dict(type='EncoderDecoder', ...) as mmseg "
            f'writes it; got {short(model) if model else "nothing"}'
        )
    return [
        *problems,
        *_loaders(cfg),
        *_hooks(cfg),
        *_checkpoints(cfg.get('checkpoint_config')),
    ]


def _loaders(cfg: Config) -> list[str]:
    """Check batch sizes and workers."""
    data = cfg.get('data')
    if not isinstance(data, Mapping):
        return []
    problems = []
    for loader in _LOADERS:
        section = data.get(loader[:-1]) if loader else data
        if section is None:
            continue
        if not isinstance(section, Mapping):
            problems.append(
                f'data.{loader[:-1]}: wanted a dict; got {short(section)}'
            )
            continue
        for name, kind in _COUNTS.items():
            if name in section and not accepts(kind, section[name]):
                problems.append(
                    f'data.{loader}{name}: wanted {wanted(kind)}; got '
                    f'{section[name]!r}'
                )
    train = data.get('train_dataloader')
    own = isinstance(train, Mapping) and 'samples_per_gpu' in train
    if not own and 'samples_per_gpu' not in data:
        problems.append(
            'data.samples_per_gpu: required, images a batch in each process; '
            'got nothing'
        )
    return problems


def _hooks(cfg: Config) -> list[str]:
    """Check the lists of hooks."""
    problems = []
    logs = cfg.get('log_config')
    lists = {'custom_hooks': cfg.get('custom_hooks')}
    if logs is not None and not isinstance(logs, Mapping):
        problems.append(
            'log_config: wanted a dict, as dict(interval=50, hooks=[dict('
            f"type='TextLoggerHook')]); got {short(logs)}"
        )
    elif logs:
        lists['log_config.hooks'] = logs.get('hooks')
        if not accepts(FromOne, logs.get('interval')):
            problems.append(
                'log_config.interval: wanted an integer, 1 or more; got '
                f'{logs.get("interval")!r}'
            )
    for where, hooks in lists.items():
        if hooks is None:
            continue
        if not isinstance(hooks, (list, tuple)):
            problems.append(
                f'{where}: wanted a list of hooks, as [dict(type=..., ...)]; '
                f'got {short(hooks)}'
            )
            continue
        problems += [
            f'{where}[{i}]: wanted dict(type=..., ...); got {short(hook)}'
            for i, hook in enumerate(hooks)
            if not isinstance(hook, Mapping) or 'type' not in hook
        ]
    return problems


def _checkpoints(section: Any) -> list[str]:
    """Refuse keys with which mmcv's hook would fail when it saves."""
    if not isinstance(section, Mapping):
        return []  # reported with the intervals
    if section.get('type', 'CheckpointHook') != 'CheckpointHook':
        return []
    named = set(inspect.signature(CheckpointHook).parameters) - {'kwargs'}
    return unknown_keys('checkpoint_config', section, named | _SAVED)
