"""Find values of a kind that no part of mmcv or mmseg could read."""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Iterator, Mapping
from typing import Any

from mmcv import Config

from segal.errors import short, unknown_keys

_PATHS = ('data_root', 'img_dir', 'ann_dir', 'split', 'img_suffix')


def check_shapes(cfg: Config) -> list[str]:
    """Find values of a kind that no part of mmcv or mmseg could read.

    Args:
        cfg: As loaded, before anything is translated.

    Returns:
        One sentence for each value.
    """
    problems = []
    for name in ('active_learning', 'runner'):
        if name in cfg and not isinstance(cfg[name], Mapping):
            problems.append(f'{name}: wanted a dict; got {short(cfg[name])}')
    for name in ('optimizer', 'evaluation', 'lr_config', 'checkpoint_config'):
        section = cfg.get(name)
        problems += _types(name, section)
    policy = _of(cfg.get('lr_config'), 'policy', 'poly')
    if not isinstance(policy, str):
        problems.append(
            "lr_config.policy: wanted a name, such as 'poly'; got "
            f'{short(policy)}'
        )
    metric = _of(cfg.get('evaluation'), 'metric', 'mIoU')
    names = metric if isinstance(metric, (list, tuple)) else [metric]
    if not names or not all(isinstance(name, str) for name in names):
        problems.append(
            "evaluation.metric: wanted a name, such as 'mIoU', or several "
            f'in a list; got {short(metric)}'
        )
    start = _of(cfg.get('evaluation'), 'start', None)
    problems += _integer('evaluation.start', start, 0)
    kept = _of(cfg.get('checkpoint_config'), 'max_keep_ckpts', -1)
    if not _is_int(kept):
        problems.append(
            'checkpoint_config.max_keep_ckpts: wanted an integer, -1 for '
            f'all; got {short(kept)}'
        )
    if not is_level(cfg.get('log_level', 'INFO')):
        problems.append(
            "log_level: wanted one of 'DEBUG', 'INFO', 'WARNING', 'ERROR', "
            f"'CRITICAL'; got {short(cfg.log_level)}"
        )
    problems += _fp16(cfg.get('fp16'))
    clip = _of(cfg.get('optimizer_config'), 'grad_clip', None)
    highest = _of(clip, 'max_norm', 1)
    if isinstance(highest, int | float) and not highest > 0:
        problems.append(
            'optimizer_config.grad_clip.max_norm: wanted a number above 0; '
            f'got {short(highest)}, which stops or turns round every step'
        )
    data = cfg.get('data')
    if isinstance(data, Mapping):
        problems += _data_sets(data)
    problems += _weights(cfg.get('model'))
    for name, section in cfg._cfg_dict.items():
        if not name.startswith('_'):
            problems += _quoted(section, name)
    return list(dict.fromkeys(problems))


def is_level(level: Any) -> bool:
    """Tell whether ``logging`` knows a level by that name or number."""
    if isinstance(level, bool):
        return False
    if isinstance(level, int):
        return level >= 0
    return isinstance(level, str) and level in logging.getLevelNamesMapping()


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _of(section: Any, key: str, default: Any) -> Any:
    return (
        section.get(key, default)
        if isinstance(section, Mapping)
        else (default)
    )


def _integer(where: str, value: Any, low: int) -> list[str]:
    if value is None or (_is_int(value) and value >= low):
        return []
    return [f'{where}: wanted an integer, {low} or more; got {short(value)}']


def _types(where: str, section: Any) -> list[str]:
    """Check that the type of a part is a name or a class."""
    if not isinstance(section, Mapping) or 'type' not in section:
        return []
    kind = section['type']
    if (isinstance(kind, str) and kind) or inspect.isclass(kind):
        return []
    return [f'{where}.type: wanted a registered name; got {short(kind)}']


def _fp16(section: Any) -> list[str]:
    """Check the keys of mmcv's fp16 hook, which needs a GPU to build."""
    if section is None:
        return []
    where = 'fp16'
    if not isinstance(section, Mapping):
        return [
            f"{where}: wanted a dict, as dict(loss_scale='dynamic'); got "
            f'{short(section)}'
        ]
    valid = {
        'loss_scale',
        *('grad_clip', 'coalesce', 'bucket_size_mb', 'distributed', 'type'),
    }
    problems = unknown_keys(where, section, valid)
    scale = section.get('loss_scale', 512.0)
    number = isinstance(scale, int | float) and not isinstance(scale, bool)
    fits = (
        (number and math.isfinite(scale) and scale > 0)
        or scale == 'dynamic'
        or isinstance(scale, Mapping)
    )
    if not fits:
        problems.append(
            f"{where}.loss_scale: wanted a number above 0, 'dynamic', or a "
            f"dict of GradScaler's arguments; got {short(scale)}"
        )
    return problems


def _data_sets(data: Mapping[str, Any]) -> Iterator[str]:
    """Check the entries of ``data`` and their pipelines."""
    for name in ('train', 'query', 'val'):
        section = data.get(name)
        several = isinstance(section, (list, tuple))
        if section is None or (several and name != 'train'):
            continue  # lists are refused by check_data
        for index, entry in enumerate(section if several else [section]):
            where = f'data.{name}[{index}]' if several else f'data.{name}'
            if not isinstance(entry, Mapping):
                if name != 'query':  # reported with the keys
                    yield (
                        f'{where}: wanted a data set, as a dict; got '
                        f'{short(entry)}'
                    )
                continue
            yield from _entry(where, entry)


def _entry(where: str, entry: Mapping[str, Any]) -> Iterator[str]:
    yield from _types(where, entry)
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
        yield from _types(here, step)
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


def dicts_in(part: Any, where: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every dict in a part of the config, with its key.

    Args:
        part: A section, or a list of them.
        where: Its dotted key.
    """
    if isinstance(part, Mapping):
        yield where, part
        for key, value in part.items():
            yield from dicts_in(value, f'{where}.{key}')
    elif isinstance(part, (list, tuple)):
        for index, value in enumerate(part):
            yield from dicts_in(value, f'{where}[{index}]')


def _weights(model: Any) -> Iterator[str]:
    """Check the weights of losses and classes."""
    for where, part in dicts_in(model, 'model'):
        if 'loss_decode' in part and not part['loss_decode']:
            yield (
                f'{where}.loss_decode: wanted at least one loss, such as '
                "dict(type='CrossEntropyLoss'); got "
                f'{short(part["loss_decode"])}'
            )
        for key in ('class_weight', 'loss_weight'):
            value = part.get(key)
            if value is None or (
                key == 'class_weight' and isinstance(value, str)
            ):
                continue  # mmseg reads the weights from a file
            single = not isinstance(value, (list, tuple))
            numbers = [value] if single else list(value)
            odd = [
                one
                for one in numbers
                if not isinstance(one, int | float)
                or isinstance(one, bool)
                or not math.isfinite(one)
                or one < 0
            ]
            if odd:
                number = 'a number' if key == 'loss_weight' else 'numbers'
                yield (
                    f'{where}.{key}: wanted {number}, 0 or more; got '
                    f'{short(odd[0])}'
                )
            elif key == 'class_weight' and numbers and not any(numbers):
                yield f'{where}.{key}: wanted one above 0; got {short(value)}'
