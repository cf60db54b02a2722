"""Translate keys of the first SegAL to those of today."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmcv import Config

from segal.config.shapes import find, mapping
from segal.errors import short

_LEFT_BY_MMSEG = ('max_iters', 'max_epochs')
_LENGTH = 'workflow and sample_rounds say how long training lasts'
IGNORED = {
    'mask_dir': 'labels lie in the work_dir',
    'mae_viz_dir': 'there is no reconstruction to draw',
    'source_free': 'data.train says which sources there are',
    'total_itrs': _LENGTH,
    'total_iters': _LENGTH,
    'total_epochs': _LENGTH,
}
"""Top-level keys that are dropped, and why."""

_TRAIN_LENGTHS = (
    ('runner', 'query_epochs'),
    ('runner', 'query_epoch'),
    ('active_learning', 'query_epochs'),
    ('active_learning', 'query_epoch'),
)


def translate_keys(cfg: Config) -> tuple[list[str], list[str]]:
    """Translate old keys, in place.

    Returns:
        A problem for each key that was written in both ways with two values,
        and one note for each translation.
    """
    active, runner = cfg.get('active_learning'), cfg.get('runner')
    problems: list[str] = []
    notes = []
    if isinstance(active, Mapping):
        notes += _settings(active, problems)
    if isinstance(active, Mapping) and isinstance(runner, Mapping):
        notes += _sample_mode(active, runner, problems)
        notes += _region(active, runner, problems)
    if isinstance(runner, Mapping):
        left = [key for key in _LEFT_BY_MMSEG if key in runner]
        for key in left:
            del runner[key]  # type: ignore[attr-defined]
        if left:
            notes.append(f'runner: {", ".join(left)} dropped; {_LENGTH}')
    notes += _train_length(cfg)
    notes += _intervals(cfg)
    for key, why in IGNORED.items():
        if key in cfg:
            del cfg._cfg_dict[key]
            notes.append(f'{key}: ignored, {why}')
    return problems, notes


def _move(
    key: str, value: Any, section: Any, new: str, problems: list[str]
) -> None:
    """Write a value of an old key under its new one, if there is none."""
    last = new.rpartition('.')[2]
    known = section.setdefault(last, value)
    if known != value:
        problems.append(
            f'{key}: wanted {new} alone, as which it is read, got two values, '
            f'{short(value)} and {short(known)}; leave out one of the two'
        )


def _settings(active: Any, problems: list[str]) -> list[str]:
    """Translate ``pixel_based_settings``, and drop the total budget."""
    notes = []
    for unit in ('image', 'pixel'):
        old = f'{unit}_based_settings'
        if old in active:
            settings = active.setdefault('settings', type(active)())
            new = f'active_learning.settings.{unit}'
            given, known = active.pop(old), settings.get(unit)
            if isinstance(given, Mapping) and isinstance(known, Mapping):
                for key, value in given.items():
                    where = f'active_learning.{old}.{key}'
                    _move(where, value, known, f'{new}.{key}', problems)
            else:
                where = f'active_learning.{old}'
                _move(where, given, settings, new, problems)
            notes.append(
                f'active_learning.{old}: read as '
                f'active_learning.settings.{unit}'
            )
    for unit in ('image', 'pixel'):
        section: Any = mapping(active, f'settings.{unit}')
        if 'budget' in section:
            del section['budget']
            notes.append(
                f'active_learning.settings.{unit}.budget: dropped; the '
                'initial labels and the number of rounds decide the total'
            )
    return notes


def _sample_mode(active: Any, runner: Any, problems: list[str]) -> list[str]:
    if 'sample_mode' not in active:
        return []
    old, new = 'active_learning.sample_mode', 'runner.sample_mode'
    _move(old, active.pop('sample_mode'), runner, new, problems)
    return [f'{old}: read as {new}']


def _region(active: Any, runner: Any, problems: list[str]) -> list[str]:
    """Translate settings of regions: squares, with budgets in pixels."""
    region = find(active, 'settings.region')[1]
    if region is None:
        return []
    mode = runner.get('sample_mode')
    if mode in ('pixel', 'image'):
        del active['settings']['region']
        return [
            'active_learning.settings.region: ignored, runner.sample_mode is '
            f'{mode!r}'
        ]
    if not isinstance(region, dict) or 'radius' not in region:
        return []
    if 'shape' in region:
        return []  # the shape has its own radius
    region['shape'] = type(region)(type='Squares', radius=region.pop('radius'))
    region.setdefault('budget_unit', 'pixels')
    if 'initial_label_pixels' in region:
        where = 'active_learning.settings.region.initial_label_'
        old = region.pop('initial_label_pixels')
        new = f'{where}regions'
        _move(f'{where}pixels', old, region, new, problems)
    if region.get('ignore_index') == 255:
        del region['ignore_index']
    return [
        'active_learning.settings.region: radius and initial_label_pixels '
        f'are read as shape={dict(region["shape"])}, initial_label_regions; '
        f'budgets count {region["budget_unit"]}'
    ]


def _train_length(cfg: Config) -> list[str]:
    """Translate ``query_epochs`` to a workflow."""
    notes = []
    for section_name, key in _TRAIN_LENGTHS:
        section = cfg.get(section_name)
        if not isinstance(section, Mapping) or key not in section:
            continue
        length = section.pop(key)  # type: ignore[attr-defined]
        if "'query'" in repr(cfg.get('workflow')):
            notes.append(f'{section_name}.{key}: ignored, workflow counts')
        else:
            cfg.workflow = [('train', length), ('query', 1)]
            notes.append(
                f"{section_name}.{key}: read as workflow=[('train', "
                f"{length!r}), ('query', 1)]"
            )
    return notes


def _intervals(cfg: Config) -> list[str]:
    """Read an interval of 0 (``N // 5`` of a short phase) as once a phase."""
    notes = []
    for name in ('evaluation', 'checkpoint_config'):
        section = cfg.get(name)
        if not isinstance(section, dict):
            continue
        interval = section.get('interval')
        if type(interval) is not int or interval != 0:
            continue
        section['interval'] = longest = _longest(cfg.get('workflow'))
        notes.append(f'{name}.interval: 0 is read as once a phase, {longest}')
    return notes


def _longest(workflow: Any) -> int:
    """Find the longest training phase of a flat or a nested workflow."""
    if not isinstance(workflow, (list, tuple)):
        return 1
    if len(workflow) == 2 and workflow[0] == 'train':
        return workflow[1] if isinstance(workflow[1], int) else 1
    return max([1, *map(_longest, workflow)])
