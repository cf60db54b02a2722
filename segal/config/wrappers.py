"""Data sets around other data sets, and steps that mix several images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmseg.datasets import DATASETS, PIPELINES

from segal.openmmlab.pipelines import entries, walk

_MIXES = ('get_indexes', 'get_indices')
"""What a step has that wants further images, as mmseg's RandomMosaic."""


def wraps(entry: Any) -> bool:
    """Whether a section describes a data set around others.

    It is told by what stands in it: the section of another data set.
    """
    return isinstance(entry, Mapping) and any(
        _is_data_set(one)
        for key, value in entry.items()
        if key not in ('pipeline', 'transforms')
        for one in entries(value)
    )


def _is_data_set(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    kind = value.get('type')
    known = isinstance(kind, str) and DATASETS.get(kind) is not None
    return known or 'img_dir' in value or wraps(value)


def check_wrappers(data: Mapping[str, Any]) -> list[str]:
    """Refuse data sets that no label could be told to.

    Args:
        data: The config's section, RepeatDataset unwrapped.

    Returns:
        One sentence for each wrapper and each step that mixes images.
    """
    problems = []
    for name in ('train', 'query', 'val'):
        section: Any = data.get(name)
        listed = isinstance(section, list | tuple)
        if listed and name == 'val':
            problems.append(
                f'data.val: wanted one data set, got {len(section)}; '
                'evaluate on one, or put all images under one img_dir'
            )
            continue
        if listed and name == 'query':
            problems.append(
                f'data.query: wanted one data set, got {len(section)}; put '
                'the images of the pool under one img_dir, or list them in '
                'one split'
            )
            continue
        for index, entry in enumerate(entries(section)):
            key = f'data.{name}[{index}]' if listed else f'data.{name}'
            if wraps(entry):
                problems.append(_wrapped(key, name, entry))
            elif isinstance(entry, Mapping):
                problems += _mixing(key, entry)
    return problems


def _wrapped(key: str, name: str, entry: Mapping[str, Any]) -> str:
    kind = entry.get('type', 'a dict of data sets')
    if name == 'train':
        mend = (
            'wanted data sets of their own: data.train=[dict(type=...), ...], '
            'the pool and, beside it, fully labelled ones (RepeatDataset '
            'around one is unwrapped)'
        )
    else:
        mend = 'wanted one data set: write the one inside in its place'
    return (
        f'{key}.type: {kind} around other data sets is not supported, since '
        f'bought labels belong to single images; {mend}'
    )


def _mixing(key: str, entry: Mapping[str, Any]) -> list[str]:
    """A sentence for each step that mixes further images into one."""
    problems = []
    for step in walk(entry.get('pipeline')):
        kind = step.get('type')
        made = PIPELINES.get(kind) if isinstance(kind, str) else kind
        if any(hasattr(made, name) for name in _MIXES):
            problems.append(
                f'{key}.pipeline: {kind} mixes several images into one, '
                'which is not supported, since bought labels belong to '
                'single images; wanted steps that move one image and its '
                'labels, such as RandomCrop, RandomFlip or RandomRotate; '
                'remove it'
            )
    return problems
