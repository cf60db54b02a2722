"""Check that all data sets have the same classes in the same order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import mmcv
from mmseg.datasets import DATASETS, CustomDataset

from segal.openmmlab.pipelines import entries


def check_class_names(
    wanted: Sequence[str] | None,
    of: str,
    others: Mapping[str, Any],
    test: Any = None,
    title: str = 'the pool',
) -> list[str]:
    """Check that all data sets have the pool's classes in the same order.

    The ``wanted`` names are those of the data set ``of``, which ``title``
    describes; ``others`` were built, ``test``, ``data.test``, was not.

    Returns problems, each with both lists.
    """
    if not wanted:
        return [
            f'{of}.classes: wanted the names of the classes, got none; list '
            'them'
        ]
    twice = [name for name, count in Counter(wanted).items() if count > 1]
    if twice:
        return [
            f'{of}.classes: wanted a name of its own for each class, got '
            f'{twice} more than once in {list(wanted)}; rename them'
        ]
    problems = []
    for key, dataset in others.items():
        got = getattr(dataset, 'CLASSES', None)
        if got is not None:
            problems += _other(key, got, wanted, f'{of}, {title}')
        elif key.startswith('data.train') or (
            key == 'data.val' and isinstance(dataset, CustomDataset)
        ):
            problems.append(
                f'{key}.classes: wanted the names of the {len(wanted)} '
                f'classes of {of}, got none; list them'
            )
    for entry in entries(test):
        got = _written(entry)
        if got is not None:
            problems += _other('data.test', got, wanted, f'{of}, {title}')
    return problems


def _other(
    key: str, got: Iterable[str], wanted: Iterable[str], of: str
) -> list[str]:
    """Compare the class names of one data set with those of the pool."""
    got, wanted = list(got), list(wanted)
    if got == wanted:
        return []
    said = f'{len(got)} classes'
    if len(got) == len(wanted):
        place = next(i for i in range(len(got)) if got[i] != wanted[i])
        said = f'{got[place]!r} as class {place}, which is {wanted[place]!r}'
    return [
        f'{key}.classes: wanted the {len(wanted)} classes of {of}, '
        f'in the same order; got {said} (wanted {wanted}, got {got}); an id '
        'means what its place in the list says: write the same list in both, '
        'and convert annotations that do not follow it'
    ]


def _written(entry: Any) -> list[str] | None:
    """Read the class names of a data set that is not built, if possible."""
    if not isinstance(entry, Mapping):
        return None
    names = entry.get('classes')
    if isinstance(names, str):
        try:
            names = mmcv.list_from_file(names)
        except OSError:
            return None
    if names is None:
        kind = entry.get('type')
        kind = DATASETS.get(kind) if isinstance(kind, str) else kind
        names = getattr(kind, 'CLASSES', None)
    if isinstance(names, list | tuple):
        return list(names)
    return None
