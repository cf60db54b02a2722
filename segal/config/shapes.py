"""Check the sections of mmcv and mmseg, whose parts are built much later."""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Iterator, Mapping
from typing import Any

from mmcv import Config
from mmcv.runner import CheckpointHook

from segal.config.kinds import (
    FromOne,
    FromZero,
    NotNegative,
    accepts,
    described,
    is_int,
    is_number,
    wanted,
)
from segal.errors import short, unknown_keys
from segal.openmmlab.pipelines import entries

CHECKPOINTS_KEPT = 2
"""Default of ``max_keep_ckpts`` in each round."""

_PATHS = ('data_root', 'img_dir', 'ann_dir', 'split', 'img_suffix')
_HOOK = 'dict(type=..., ...)'

LOADERS = tuple(
    f'data.{name}_dataloader' for name in ('train', 'query', 'val', 'test')
)
LOADER = frozenset(
    {
        *('samples_per_gpu', 'workers_per_gpu', 'persistent_workers'),
        *('pin_memory', 'drop_last', 'shuffle', 'prefetch_factor'),
        *('dist', 'seed'),
    }
)
"""Keys of ``data`` and of its loaders."""

_CLOSED: dict[str, Any] = {
    'log_config': {'interval', 'hooks', 'by_epoch'},
    'fp16': {
        *('loss_scale', 'grad_clip', 'coalesce', 'bucket_size_mb'),
        *('distributed', 'type'),
    },
    **dict.fromkeys(LOADERS, LOADER),
}
"""Sections whose keys are all known."""


def is_level(level: Any) -> bool:
    """Tell whether ``logging`` knows a level by that name or number."""
    if isinstance(level, str):
        return level in logging.getLevelNamesMapping()
    return is_int(level) and level >= 0


def _is_type(value: Any) -> bool:
    return inspect.isclass(value) or (isinstance(value, str) and bool(value))


def _are_names(value: Any) -> bool:
    names = value if isinstance(value, (list, tuple)) else [value]
    return bool(names) and all(isinstance(name, str) for name in names)


def _is_scale(value: Any) -> bool:
    if is_number(value):
        return math.isfinite(value) and value > 0
    return value == 'dynamic' or isinstance(value, Mapping)


_TYPE = described('a registered name', _is_type)
_DICT = described('a dict', lambda v: isinstance(v, Mapping))
_LIST = described(
    f'a list of hooks, as [{_HOOK}]', lambda v: isinstance(v, (list, tuple))
)
_LOGS = described(
    "a dict, as dict(interval=50, hooks=[dict(type='TextLoggerHook')])",
    lambda v: isinstance(v, Mapping),
)
_FP16 = described(
    "a dict, as dict(loss_scale='dynamic')", lambda v: isinstance(v, Mapping)
)
_KINDS: dict[str, Any] = {
    'active_learning': _DICT,
    'runner': _DICT,
    'optimizer.type': _TYPE,
    'optimizer_config.grad_clip.max_norm': described(
        'a number above 0', lambda v: not is_number(v) or v > 0
    ),
    'lr_config.type': _TYPE,
    'lr_config.policy': described(
        "a name, such as 'poly'", lambda v: isinstance(v, str)
    ),
    'evaluation.type': _TYPE,
    'evaluation.metric': described(
        "a name, such as 'mIoU', or several in a list", _are_names
    ),
    'evaluation.start': FromZero | None,
    'checkpoint_config.type': _TYPE,
    'checkpoint_config.max_keep_ckpts': described(
        'an integer, -1 for all', is_int
    ),
    'log_level': described(
        "one of 'DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL'", is_level
    ),
    'log_config': _LOGS | None,
    'log_config.interval': FromOne,
    'log_config.hooks': _LIST | None,
    'custom_hooks': _LIST | None,
    'fp16': _FP16 | None,
    'fp16.loss_scale': described(
        "a number above 0, 'dynamic', or a dict of GradScaler's arguments",
        _is_scale,
    ),
    'load_from': described(
        'the path of a checkpoint, or None',
        lambda v: v is None or isinstance(v, str),
    ),
    **dict.fromkeys(LOADERS, _DICT | None),
    **{f'{name}.samples_per_gpu': FromOne for name in ('data', *LOADERS)},
    **{f'{name}.workers_per_gpu': FromZero for name in ('data', *LOADERS)},
}
"""Keys of mmcv and mmseg, and what each takes where it is written."""


def check_shapes(cfg: Config) -> list[str]:
    """Find keys of mmcv and mmseg that no part of theirs could read.

    Returns:
        One sentence for each key.
    """
    problems = []
    for name, kind in _KINDS.items():
        there, value = find(cfg, name)
        if there and not accepts(kind, value):
            problems.append(
                f'{name}: wanted {wanted(kind)}; got {short(value)}'
            )
    for name, known in _CLOSED.items():
        problems += unknown_keys(name, mapping(cfg, name), known)
    problems += _checkpoints(mapping(cfg, 'checkpoint_config'))
    problems += [*_required(cfg), *_hooks(cfg)]
    problems += _data_sets(cfg)
    problems += _model(cfg.get('model'))
    for name, section in cfg._cfg_dict.items():
        if not name.startswith('_'):
            problems += _quoted(section, name)
    return list(dict.fromkeys(problems))


def find(cfg: Any, name: str) -> tuple[bool, Any]:
    """Look up a dotted key as a config has it.

    Returns:
        Whether it is there, and its value.
    """
    for part in name.split('.'):
        if not isinstance(cfg, (Mapping, Config)) or part not in cfg:
            return False, None
        cfg = cfg[part]
    return True, cfg


def mapping(cfg: Any, name: str) -> Mapping[str, Any]:
    """Return a section of a config; an empty one where it is no dict."""
    section = find(cfg, name)[1]
    return section if isinstance(section, Mapping) else {}


def _checkpoints(section: Mapping[str, Any]) -> list[str]:
    """Refuse keys with which mmcv's hook would fail when it saves."""
    if section.get('type', 'CheckpointHook') != 'CheckpointHook':
        return []
    named = set(inspect.signature(CheckpointHook).parameters) - {'kwargs'}
    named |= {'meta', 'filename_tmpl', 'create_symlink', 'max_keep_ckpts'}
    return unknown_keys('checkpoint_config', section, {*named, 'type'})


def _required(cfg: Config) -> Iterator[str]:
    """Name required keys that are not there."""
    places = ('data', 'data.train_dataloader')
    if isinstance(cfg.get('data'), Mapping) and not any(
        'samples_per_gpu' in mapping(cfg, place) for place in places
    ):
        yield (
            'data.samples_per_gpu: required, images a batch in each process; '
            'got nothing'
        )
    logs = mapping(cfg, 'log_config')
    if logs and 'interval' not in logs:
        yield (
            f'log_config.interval: required, {wanted(FromOne)}; got nothing'
        )


def hooks_in(cfg: Config, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the hooks of a list, with their keys."""
    hooks = find(cfg, name)[1]
    for index, hook in enumerate(hooks if accepts(_LIST, hooks) else ()):
        yield f'{name}[{index}]', hook


def _hooks(cfg: Config) -> Iterator[str]:
    """Check the hooks of each list, and how often loggers write."""
    hooks = [
        *hooks_in(cfg, 'custom_hooks'),
        *hooks_in(cfg, 'log_config.hooks'),
    ]
    for where, hook in hooks:
        if not isinstance(hook, Mapping) or 'type' not in hook:
            yield f'{where}: wanted {_HOOK}; got {short(hook)}'
        elif where.startswith('log_config'):
            every = hook.get('interval', 1)
            if not accepts(FromOne, every):
                yield (
                    f'{where}.interval: wanted {wanted(FromOne)}; got '
                    f'{short(every)}'
                )


def data_sets(cfg: Any, *names: str) -> Iterator[tuple[str, Any]]:
    """Yield the data sets of ``data.train`` and others, with their keys.

    Each is what the config says, a dict or not.
    """
    for name in names:
        section = find(cfg, f'data.{name}')[1]
        listed = isinstance(section, (list, tuple))
        for index, entry in enumerate(entries(section)):
            yield f'data.{name}' + f'[{index}]' * listed, entry


def _data_sets(cfg: Config) -> Iterator[str]:
    """Check the entries of ``data`` and their pipelines."""
    for where, entry in data_sets(cfg, 'train', 'query', 'val'):
        if isinstance(entry, Mapping):
            yield from _entry(where, entry)
        elif where != 'data.query':  # reported with the keys
            yield f'{where}: wanted data sets as dicts; got {short(entry)}'


def _entry(where: str, entry: Mapping[str, Any]) -> Iterator[str]:
    yield from _type(where, entry)
    if 'type' not in entry:
        yield (f"{where}.type: required, such as 'CustomDataset'; got nothing")
    for key in _PATHS:
        value = entry.get(key)
        parts = value if isinstance(value, (list, tuple)) else [value]
        if not all(part is None or isinstance(part, str) for part in parts):
            yield f'{where}.{key}: wanted a path; got {short(value)}'
    if isinstance(entry.get('dataset'), Mapping):
        yield from _entry(f'{where}.dataset', entry['dataset'])
    if 'pipeline' in entry:
        yield from _steps(f'{where}.pipeline', entry['pipeline'])


def _steps(where: str, steps: Any) -> Iterator[str]:
    """Check a pipeline, or the transforms of a step."""
    if not isinstance(steps, (list, tuple)) or not steps:
        yield (
            f'{where}: wanted a list of steps, as [dict(type='
            f"'LoadImageFromFile'), ...]; got {short(steps)}"
        )
        return
    for index, step in enumerate(steps):
        here = f'{where}[{index}]'
        if not isinstance(step, Mapping):
            if not callable(step):
                yield f'{here}: wanted dict(type=...); got {short(step)}'
            continue
        if 'type' not in step:
            yield f'{here}.type: required, the name of a step; got nothing'
        yield from _type(here, step)
        if 'transforms' in step:
            yield from _steps(f'{here}.transforms', step['transforms'])
        for key in ('keys', 'meta_keys'):
            names = step.get(key) if key in step else []
            if not isinstance(names, (list, tuple)) or not all(
                isinstance(name, str) for name in names
            ):
                yield (
                    f"{here}.{key}: wanted a list of names, as ['img']; got "
                    f'{short(names)}'
                )


def _quoted(part: Any, where: str) -> Iterator[str]:
    """Refuse truth values in quotes: every string is true to its reader."""
    if isinstance(part, str) and part in ('True', 'False', 'true', 'false'):
        yield (
            f'{where}: wanted {part.title()}, which is no text; got {part!r}. '
            'Take the quotes away'
        )
    elif isinstance(part, Mapping):
        for key, value in part.items():
            yield from _quoted(value, f'{where}.{key}')
    elif isinstance(part, (list, tuple)):
        for index, value in enumerate(part):
            if isinstance(value, Mapping):
                yield from _quoted(value, f'{where}[{index}]')


def dicts_in(part: Any, where: str) -> Iterator[tuple[str, Any]]:
    """Yield every dict in a part of the config, with its dotted key."""
    if isinstance(part, Mapping):
        yield where, part
        for key, value in part.items():
            yield from dicts_in(value, f'{where}.{key}')
    elif isinstance(part, (list, tuple)):
        for index, value in enumerate(part):
            yield from dicts_in(value, f'{where}.{index}')


def _type(where: str, part: Mapping[str, Any]) -> Iterator[str]:
    """Check that the type of a part is a name or a class."""
    if 'type' in part and not _is_type(part['type']):
        got = short(part['type'])
        yield f'{where}.type: wanted {wanted(_TYPE)}; got {got}'


def _model(model: Any) -> Iterator[str]:
    """Check the model's type, and the weights of losses and classes."""
    if not isinstance(model, Mapping) or 'type' not in model:
        yield (
            "model: required, dict(type='EncoderDecoder', ...) as mmseg "
            f'writes it; got {short(model) if model else "nothing"}'
        )
    for where, part in dicts_in(model, 'model'):
        if 'loss_decode' in part and not part['loss_decode']:
            yield (
                f'{where}.loss_decode: wanted at least one loss, such as '
                "dict(type='CrossEntropyLoss'); got "
                f'{short(part["loss_decode"])}'
            )
        for key in ('class_weight', 'loss_weight'):
            value = part.get(key)
            from_file = key == 'class_weight' and isinstance(value, str)
            if value is None or from_file:
                continue
            numbers = value if isinstance(value, (list, tuple)) else [value]
            odd = [x for x in numbers if not accepts(NotNegative, x)]
            if odd:
                yield (
                    f'{where}.{key}: wanted numbers, 0 or more; got '
                    f'{short(odd[0])}'
                )
            elif key == 'class_weight' and numbers and not any(numbers):
                yield f'{where}.{key}: wanted one above 0; got {short(value)}'
