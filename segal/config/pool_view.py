"""Add the pool's training entry, where a config names only a source."""

from __future__ import annotations

import os.path as osp
from collections.abc import Mapping
from typing import Any

from mmcv import Config, ConfigDict

from segal.openmmlab.pipelines import entries


def add_view(cfg: Config) -> list[str]:
    """Put the pool beside a source that stands alone in ``data.train``.

    A config of the first SegAL names the labelled source as ``data.train``
    and the pool only as ``data.query``. The pool's training entry is then
    ``data.query`` with the source's pipeline, and with the label loader of
    ``data.query`` where it has one.

    Args:
        cfg: The config, changed in place; before the query pipeline is
            stripped of the ground truth.

    Returns:
        One note, or none.
    """
    data: Any = cfg.get('data')
    if not isinstance(data, dict) or not isinstance(data.get('query'), dict):
        return []
    query, train = data['query'], entries(data.get('train'))
    if not train or not all(_is_source(entry, query) for entry in train):
        return []
    view = ConfigDict(query).copy()
    view['pipeline'] = _with_loader(train[0]['pipeline'], query['pipeline'])
    view.pop('test_mode', None)
    data['train'] = [*train, view]
    names = ', '.join(str(entry['type']) for entry in train)
    return [
        f'data.train: names only {names}, a labelled source; the pool, '
        f'data.query ({query["type"]}), trains beside it with the '
        "source's pipeline"
    ]


def _is_source(entry: Any, query: Any) -> bool:
    """Tell whether a train entry is of other data than the pool."""
    for part in (entry, query):
        if not isinstance(part, Mapping) or not part.get('pipeline'):
            return False
        if not isinstance(part.get('type'), str):
            return False
    if _folder(entry) == _folder(query):
        return False
    if entry['type'] != query['type']:
        return True
    return _path(entry.get('data_root')) != _path(query.get('data_root')) and (
        not _same_names(_folder(entry), _folder(query))
    )


def _path(path: Any) -> str:
    return osp.realpath(path) if isinstance(path, str) else ''


def _folder(entry: Any) -> str:
    """Return the image folder of a data set."""
    folder, root = entry.get('img_dir'), entry.get('data_root')
    if not isinstance(folder, str):
        return f'{entry["type"]} {_path(root)}'
    return _path(osp.join(root, folder) if isinstance(root, str) else folder)


def _same_names(one: str, other: str) -> bool:
    """Tell whether two folders hold files of one name, as copies do."""
    from mmcv import scandir

    if not (osp.isdir(one) and osp.isdir(other)):
        return True
    names = set(scandir(one, recursive=True))
    return any(name in names for name in scandir(other, recursive=True))


def _with_loader(pipeline: Any, query: Any) -> list[Any]:
    """Copy the source's pipeline, with the pool's loader of labels."""
    own = [
        step
        for step in entries(query)
        if isinstance(step, Mapping) and step.get('type') == 'LoadAnnotations'
    ]
    return [
        ConfigDict(own[0])
        if own
        and isinstance(step, Mapping)
        and step.get('type') == 'LoadAnnotations'
        else step
        for step in entries(pipeline)
    ]
