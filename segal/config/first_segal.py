"""Heuristics, pools and query pipelines of the first SegAL's experiments."""

from __future__ import annotations

import copy
import os.path as osp
from collections.abc import Mapping
from typing import Any

from mmcv import Config

from segal.config.pipelines import entries

_HEURISTIC = 'active_learning.heuristic'
_CFG = 'active_learning.heuristic_cfg'
_PIXEL = 'active_learning.settings.pixel'


def translate_heuristic(cfg: Config) -> tuple[list[str], list[str]]:
    """Translate old heuristics and their arguments, in place.

    Returns:
        Problems and notes.
    """
    active = cfg.get('active_learning')
    if not isinstance(active, Mapping):
        return [], []
    problems: list[str] = []
    notes: list[str] = []
    _ripu(cfg, active, problems, notes)
    _entropy_share(active, problems, notes)
    _sparsity(cfg, active, problems, notes)
    return problems, notes


def _name(active: Mapping[str, Any]) -> str:
    """The heuristic's name, folded; empty where there is none."""
    part = active.get('heuristic')
    name = part.get('type') if isinstance(part, Mapping) else part
    return name.lower().replace('_', '') if isinstance(name, str) else ''


def _ripu(
    cfg: Config, active: Any, problems: list[str], notes: list[str]
) -> None:
    """Translate ``use_entropy`` and ``categories`` of RIPU."""
    options = active.get('heuristic_cfg')
    if not isinstance(options, Mapping):
        return
    if _name(active) not in ('ripu', 'regionimpurity'):
        if 'categories' in options or 'use_entropy' in options:
            for key in ('k', 'use_entropy', 'categories'):
                options.pop(key, None)  # type: ignore[attr-defined]
            notes.append(
                f'{_CFG}: k, use_entropy and categories are for RIPU alone; '
                'dropped'
            )
        return
    if 'categories' in options:
        got = options['categories']
        model = cfg.get('model')
        head = model.get('decode_head') if isinstance(model, Mapping) else {}
        head = head[-1] if isinstance(head, list | tuple) and head else head
        wanted = head.get('num_classes') if isinstance(head, Mapping) else None
        if wanted is not None and got != wanted:
            problems.append(
                f'{_CFG}.categories: wanted {wanted}, the num_classes of '
                f'model.decode_head; got {got!r}. Leave it out'
            )
        del options['categories']  # type: ignore[attr-defined]
        notes.append(
            f'{_CFG}.categories: dropped, the network says how many classes '
            'there are'
        )
    if 'use_entropy' in options:
        uses = options.pop('use_entropy')  # type: ignore[attr-defined]
        if not isinstance(uses, bool):
            problems.append(
                f'{_CFG}.use_entropy: wanted True or False; got {uses!r}'
            )
        elif not uses and _name(active) == 'ripu':
            active['heuristic'] = 'RegionImpurity'
            notes.append(
                f'{_CFG}.use_entropy: False, read as '
                "heuristic='RegionImpurity' (impurity alone)"
            )
        elif uses and _name(active) == 'regionimpurity':
            active['heuristic'] = 'RIPU'
            notes.append(f"{_CFG}.use_entropy: True, read as heuristic='RIPU'")
        else:
            notes.append(
                f'{_CFG}.use_entropy: {uses}, as {active["heuristic"]!r} '
                'always is; dropped'
            )


def _entropy_share(active: Any, problems: list[str], notes: list[str]) -> None:
    """``entropy_prop``: the share of a budget that the scores decide."""
    settings = active.get('settings')
    pixel = settings.get('pixel') if isinstance(settings, Mapping) else None
    if not isinstance(pixel, Mapping) or 'entropy_prop' not in pixel:
        return
    where = f'{_PIXEL}.entropy_prop'
    share = pixel.pop('entropy_prop')  # type: ignore[attr-defined]
    if share is None:
        return
    if (
        not isinstance(share, int | float)
        or isinstance(share, bool)
        or not 0 <= share <= 1
    ):
        problems.append(f'{where}: wanted a share, 0 to 1; got {share!r}')
        return
    rest = round(1 - share, 9)
    if _name(active) not in ('entropy', 'sparsity'):
        problems.append(
            f"{where}: wanted heuristic='entropy' beside it, got "
            f'{active.get("heuristic")!r}; for any heuristic, write '
            f'active_learning.shuffle_prop={rest:g}, the share of random picks'
        )
    elif active.get('shuffle_prop', rest) not in (rest, 0, 0.0):
        problems.append(
            f'{where}: {share} contradicts active_learning.shuffle_prop='
            f'{active["shuffle_prop"]}, the share of random picks; leave one '
            'of the two out'
        )
    else:
        active['shuffle_prop'] = rest
        notes.append(
            f'{where}: {share:g} of each budget by entropy, read as '
            f'active_learning.shuffle_prop={rest:g} (the rest at random)'
        )


def _sparsity(
    cfg: Config, active: Any, problems: list[str], notes: list[str]
) -> None:
    """Entropy that is to spread out in space."""
    if _name(active) != 'sparsity':
        return
    runner = cfg.get('runner')
    mode = runner.get('sample_mode') if isinstance(runner, Mapping) else None
    options = active.get('heuristic_cfg') or {}
    nearest = "heuristic='Entropy' with selector='PixelsSpread'"
    if mode not in ('pixel', None) or active.get('selector'):
        problems.append(
            f"{_HEURISTIC}: 'sparsity' is not supported here; the nearest is "
            f'{nearest}, for single pixels with the same share for each '
            'image; write that'
        )
        active['heuristic'] = 'Entropy'
        return
    active['heuristic'], active['selector'] = 'Entropy', 'PixelsSpread'
    dropped = sorted(options)
    if dropped:
        active['heuristic_cfg'] = type(active)()
    settings = active.get('settings')
    pixel = settings.get('pixel') if isinstance(settings, Mapping) else None
    if isinstance(pixel, Mapping) and pixel.get('sample_threshold'):
        del pixel['sample_threshold']  # type: ignore[attr-defined]
        dropped.append('sample_threshold')
    notes.append(
        f"{_HEURISTIC}: 'sparsity' (entropy, spread out) is read as the "
        f'nearest there is, {nearest}'
        + (f'; {", ".join(dropped)} dropped' if dropped else '')
    )


def add_view(cfg: Config) -> list[str]:
    """Make the pool's augmented view, where only sources train, in place.

    The first SegAL took the pool from ``data.query`` alone, and augmented it
    as the source.

    Returns:
        Notes.
    """
    data: Any = cfg.get('data')
    if not isinstance(data, dict):
        return []
    query, train = data.get('query'), entries(data.get('train'))
    if not isinstance(query, Mapping) or not train:
        return []
    sources = [entry for entry in train if isinstance(entry, Mapping)]
    if len(sources) < len(train) or any(
        _may_show(entry, query) for entry in sources
    ):
        return []
    if not sources[0].get('pipeline') or not query.get('type'):
        return []
    view = copy.deepcopy(dict(query))
    view.pop('test_mode', None)
    view['pipeline'] = copy.deepcopy(sources[0]['pipeline'])
    data['train'] = [*train, type(cfg._cfg_dict)(view)]
    return [
        'data.train: has no entry with the images of data.query, so one is '
        "made: the data set of data.query with the source's pipeline (of "
        'data.train'
        + ('[0]' if len(train) > 1 else '')
        + '); bought labels are learned beside those of the source'
    ]


def _may_show(entry: Mapping[str, Any], query: Mapping[str, Any]) -> bool:
    """Whether a train entry may have the images of the pool."""
    there, wanted = _folder(entry), _folder(query)
    if there is None or wanted is None:
        keys = ('type', 'data_root', 'dataset')
        return [entry.get(key) for key in keys] == [
            query.get(key) for key in keys
        ]
    return osp.commonpath([there, wanted]) in (there, wanted)


def _folder(entry: Mapping[str, Any]) -> str | None:
    """Where the images of a data set lie."""
    images = entry.get('img_dir')
    if not isinstance(images, str):
        return None
    return osp.realpath(osp.join(entry.get('data_root') or '', images))
