"""Translate pipelines and data sets of older configs to mmseg's form."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from mmcv import Config, ConfigDict
from mmseg.datasets.builder import PIPELINES
from mmseg.datasets.pipelines import LoadAnnotations

TRUTH = ('gt_semantic_seg', 'mask')
"""Keys that a query pipeline may not collect."""

_SETS = ('train', 'query', 'val', 'test')
_RANDOM = {
    'RandomFlip',
    'RandomCrop',
    'RandomRotate',
    'RandomCutOut',
    'RandomMosaic',
    'PhotoMetricDistortion',
}
_BUNDLES = {'DefaultFormatBundle', 'ImageToTensor', 'ToTensor'}


def entries(section: Any) -> list[Any]:
    """List the data sets of ``data.train`` or a similar key."""
    if section is None:
        return []
    return list(section) if isinstance(section, (list, tuple)) else [section]


def walk(pipeline: Any) -> Iterator[Any]:
    """List every transform of a pipeline, with those inside others."""
    for step in entries(pipeline):
        if isinstance(step, Mapping):
            yield step
            yield from walk(step.get('transforms'))


def loads_labels(kind: Any) -> bool:
    """Check whether a step of a pipeline reads annotations.

    Args:
        kind: Its class or the name of it: ``LoadAnnotations``, what is
            derived from it, or what is registered in its place.
    """
    if isinstance(kind, str):
        kind = PIPELINES.get(kind)
    if not inspect.isclass(kind):
        return False
    registered = PIPELINES.get('LoadAnnotations')
    return (
        issubclass(kind, LoadAnnotations)
        or kind is registered
        or (inspect.isclass(registered) and issubclass(kind, registered))
    )


def unwrap_datasets(cfg: Config) -> list[str]:
    """Unwrap RepeatDataset and part lists of folders, in place.

    Lists of folders or splits in ``data.train`` are data sets of their own,
    of which one may be the pool, and others sources. Where the pool has the
    same lists they are one.
    """
    data: Any = cfg.get('data')
    notes = []
    if not isinstance(data, dict):
        return []
    for name in ('query', 'train'):
        found = []
        for entry in entries(data.get(name)):
            while (
                isinstance(entry, Mapping)
                and entry.get('type') == 'RepeatDataset'
                and isinstance(entry.get('dataset'), Mapping)
            ):
                notes.append(
                    f'data.{name}: RepeatDataset is unwrapped; an epoch is '
                    'one pass over the labelled images'
                )
                entry = entry['dataset']
            asked = entries(data.get('query'))
            is_pool = name == 'query' or _lists(entry) in map(_lists, asked)
            found.extend([entry] if is_pool else _parted(entry))
        if len(found) > len(entries(data.get(name))):
            notes.append(
                f'data.{name}: lists of folders or splits are written as '
                f'{len(found)} data sets'
            )
        if found:
            whole = isinstance(data[name], (list, tuple)) or len(found) > 1
            data[name] = found if whole else found[0]
    return list(dict.fromkeys(notes))


def _lists(entry: Any, *more: str) -> dict[str, list[str]]:
    """Return the lists of folders or splits of a data set, by key."""
    if not isinstance(entry, Mapping):
        return {}
    return {
        key: list(entry[key])
        for key in ('img_dir', 'split', *more)
        if isinstance(entry.get(key), (list, tuple))
    }


def _parted(entry: Any) -> list[Any]:
    """Split a data set into one for each of its folders or splits."""
    lists = _lists(entry, 'ann_dir')
    lengths = {len(values) for values in lists.values()}
    if len(lengths) != 1:
        return [entry]
    parts = []
    for index in range(lengths.pop()):
        part = ConfigDict(entry)
        part.update({key: values[index] for key, values in lists.items()})
        parts.append(part)
    return parts


def drop_masks(cfg: Config) -> list[str]:
    """Translate the first SegAL's mask transforms, in place."""
    data: Any = cfg.get('data')
    changed: set[str] = set()
    if not isinstance(data, dict):
        return []
    for name in _SETS:
        for entry in entries(data.get(name)):
            if isinstance(entry, dict) and 'pipeline' in entry:
                entry['pipeline'] = _without_masks(entry['pipeline'], changed)
    if not changed:
        return []
    return [
        'data: transforms of the first SegAL are translated ('
        + ', '.join(sorted(changed))
        + '); labels need no masks'
    ]


def _without_masks(pipeline: Any, changed: set[str]) -> list[Any]:
    kept = []
    for step in entries(pipeline):
        if not isinstance(step, Mapping) or not isinstance(
            step.get('type'), str
        ):
            kept.append(step)
            continue
        if step['type'] == 'LoadMasks':
            changed.add('LoadMasks dropped')
            continue
        step = ConfigDict(step)
        if step['type'].endswith('WithMask'):
            plain = step['type'].removesuffix('WithMask')
            changed.add(f'{step["type"]} -> {plain}')
            step['type'] = plain
        if 'transforms' in step:
            step['transforms'] = _without_masks(step['transforms'], changed)
        for key, gone in (('keys', 'mask'), ('meta_keys', 'mask_filename')):
            if step['type'] == 'Collect' and gone in (
                dict.get(step, key) or ()
            ):
                step[key] = [k for k in step[key] if k != gone]
                changed.add(f"Collect without '{gone}'")
        kept.append(step)
    return kept


def clean_query(cfg: Config) -> list[str]:
    """Make the query pipeline a test pipeline, in place."""
    data = cfg.get('data')
    query: Any = data.get('query') if isinstance(data, Mapping) else None
    if not isinstance(query, dict) or not query.get('pipeline'):
        return []
    steps, notes = _without_truth(query['pipeline'])
    if not any(
        isinstance(step, Mapping) and step.get('type') == 'MultiScaleFlipAug'
        for step in steps
    ):
        steps, dropped = _as_test_pipeline(steps)
        notes.append(
            'data.query.pipeline: written as a test pipeline '
            '(MultiScaleFlipAug with one scale)'
            + (
                f'; {dropped} dropped, queries see images as they are'
                if dropped
                else ''
            )
        )
    else:
        steps, changed = _as_test_ends(steps)
        if changed:
            notes.append(
                'data.query.pipeline: DefaultFormatBundle is for training; '
                'read as ImageToTensor and Collect inside MultiScaleFlipAug'
            )
    query['pipeline'] = steps
    return notes


def _as_test_ends(steps: list[Any]) -> tuple[list[Any], bool]:
    """Make a test pipeline whose images are tensors at the end.

    Args:
        steps: Of a pipeline with MultiScaleFlipAug; what bundles or collects
            behind it moves into it.

    Returns:
        The steps, and whether they differ.
    """
    kinds = [
        step.get('type') if isinstance(step, Mapping) else None
        for step in steps
    ]
    at = kinds.index('MultiScaleFlipAug')
    ends = {*_BUNDLES, 'Collect'}
    behind = [i for i in range(at + 1, len(steps)) if kinds[i] in ends]
    whole = ConfigDict(steps[at])
    inner = list(whole.get('transforms') or [])
    inside = {step.get('type') for step in inner if isinstance(step, Mapping)}
    if not behind and 'DefaultFormatBundle' not in inside:
        return steps, False
    to_tensor = ConfigDict(type='ImageToTensor', keys=['img'])
    inner = [
        to_tensor
        if isinstance(step, Mapping)
        and step.get('type') == 'DefaultFormatBundle'
        else step
        for step in inner
    ]
    if behind and 'Collect' not in inside:
        collect = next(
            (steps[i] for i in behind if kinds[i] == 'Collect'),
            ConfigDict(type='Collect', keys=['img']),
        )
        inner += [to_tensor] * (not inside & _BUNDLES) + [collect]
    whole['transforms'] = inner
    kept = [step for i, step in enumerate(steps) if i not in behind]
    kept[at] = whole
    return kept, True


def _without_truth(pipeline: Any) -> tuple[list[Any], list[str]]:
    """List the steps that neither load nor collect the ground truth."""
    kept, truth = [], False
    for step in entries(pipeline):
        if isinstance(step, Mapping):
            if loads_labels(step.get('type')):
                truth = True
                continue
            step = ConfigDict(step)
            if 'transforms' in step:
                step['transforms'], inside = _without_truth(step['transforms'])
                truth |= bool(inside)
            keys = dict.get(step, 'keys') or ()
            if any(key in keys for key in TRUTH):
                truth = True
                step['keys'] = [key for key in keys if key not in TRUTH]
        kept.append(step)
    note = (
        'data.query.pipeline: ground truth is neither loaded nor collected '
        'for a query; LoadAnnotations and gt_semantic_seg are dropped'
    )
    return kept, [note] if truth else []


def _as_test_pipeline(steps: list[Any]) -> tuple[list[Any], str]:
    """Flatten a pipeline as mmseg writes one for tests; list random steps."""
    loading: list[Any] = []
    inner: list[Any] = []
    dropped: list[str] = []
    scale = None
    for step in steps:
        kind = step.get('type') if isinstance(step, Mapping) else None
        if not inner and _reads(kind):
            loading.append(step)
        elif kind == 'Resize':
            scale = _one_scale(step.get('img_scale'))
            if step.get('ratio_range') is not None:
                dropped.append('ratio_range of Resize')
            options = {
                key: step[key]
                for key in ('keep_ratio', 'min_size')
                if key in step
            }
            inner.append({'type': 'Resize', **options})
        elif kind in _RANDOM:
            dropped.append(str(kind))
        elif kind not in _BUNDLES and kind != 'Collect':
            inner.append(step)
    inner += [
        {'type': 'ImageToTensor', 'keys': ['img']},
        {'type': 'Collect', 'keys': ['img']},
    ]
    whole: dict[str, Any] = {
        'type': 'MultiScaleFlipAug',
        'img_scale': scale,
        'flip': False,
        'transforms': inner,
    }
    if scale is None:
        whole['img_ratios'] = [1.0]
    wrapped = [ConfigDict(step) for step in [*loading, whole]]
    return wrapped, ', '.join(dropped)


def _reads(kind: Any) -> bool:
    """Check whether a step may read the image: mmseg's reader, or own."""
    if not isinstance(kind, str):
        return False
    if kind.startswith('LoadImage'):
        return True
    own = PIPELINES.get(kind)
    return own is not None and not own.__module__.startswith(
        ('mmseg.', 'segal.')
    )


def _one_scale(scale: Any) -> tuple[int, int] | None:
    """Return (width, height), the first where there are several."""
    if isinstance(scale, (list, tuple)) and scale:
        first = scale[0]
        if isinstance(first, (list, tuple)):
            return _one_scale(first)
        if len(scale) == 2:
            return int(scale[0]), int(scale[1])
    return None
