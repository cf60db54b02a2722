"""Find keys that no part of a run reads, or that its selectors do not use."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mmcv import Config

from segal.active.units import unit_named
from segal.config.dialects import IGNORED
from segal.config.fingerprint import COUNTS
from segal.config.parts import takes
from segal.config.shapes import LOADER, LOADERS, mapping
from segal.errors import nearest
from segal.registry import SELECTORS

KNOWN = frozenset(
    {
        *COUNTS,
        *('log_config', 'log_level', 'checkpoint_config', 'work_dir'),
        *('workflow', 'resume_from', 'auto_resume', 'dist_params', 'device'),
        *('train_cfg', 'test_cfg', 'opencv_num_threads', 'gpu_ids', 'gpus'),
        *('mp_start_method', 'auto_scale_lr', 'mp_cfg', 'default_scope'),
    }
)
"""Sections that mmcv, mmseg or SegAL read, now or in earlier versions."""

_DATA = frozenset(
    {'train', 'query', 'val', 'test', *LOADER}
    | {name.removeprefix('data.') for name in LOADERS}
)
_TEST = frozenset({'mode', 'stride', 'crop_size', 'rescale', 'logits'})
CLOSE = 2
"""Most letters that a misspelt key has more or less than the one meant."""


def check_unread(cfg: Config) -> tuple[list[str], list[str]]:
    """Find keys that no part of a run reads.

    Variables of a config are no keys: the files use them after the line that
    sets them. A constant (``GPU``) is no misspelt key.

    Returns:
        Problems (misspelt keys), and notes (keys without a reader).
    """
    problems, notes = [], []
    text = re.sub(r'#[^\n]*', '', getattr(cfg, 'text', '') or '')
    for key in cfg._cfg_dict:
        if key in KNOWN or key in IGNORED or key.startswith('_'):
            continue
        used = len(re.findall(rf'\b{re.escape(key)}\b(?!\s*=[^=])', text))
        meant = None if key.isupper() else _close(key, KNOWN)
        if used:
            continue
        if meant:
            problems.append(
                f'{key}: unknown section; did you mean {meant!r}? Rename it, '
                'or take it out'
            )
        elif text:
            notes.append(
                f'{key}: warning, no part of SegAL or mmseg reads it'
                + nearest(key, KNOWN).split(' (valid')[0]
            )
    for key in mapping(cfg, 'data'):
        if key in _DATA:
            continue
        said = f'data.{key}: unknown key' + nearest(key, _DATA)
        if _close(key, _DATA):
            problems.append(said)
        else:
            notes.append(
                f'{said}; warning, no part of SegAL or mmseg reads it'
            )
    for where in ('test_cfg', 'model.test_cfg'):
        for key in mapping(cfg, where):
            if key not in _TEST and (meant := _close(key, _TEST)):
                problems.append(
                    f'{where}.{key}: unknown key; did you mean {meant!r}?'
                )
    return problems, notes


def _close(key: Any, known: Iterable[str]) -> str | None:
    """Find a known key that is nearly as long, and has most of the letters."""
    if not isinstance(key, str):
        return None
    near = [name for name in known if abs(len(name) - len(key)) <= CLOSE]
    found = difflib.get_close_matches(key.lower(), near, n=1, cutoff=0.8)
    return found[0] if found else None


_SETTINGS = 'active_learning.settings.'

Find = Callable[[str], tuple[bool, Any]]
"""Dotted key -> whether it is written, and its value."""


def unused_keys(
    find: Find, unit: str, selector: Mapping[str, Any], opener: str | None
) -> list[str]:
    """Find keys that are written, and that a selector does not use."""
    kind = SELECTORS.module_dict.get(selector.get('type'))
    if kind is None:
        return []  # reported with the selector
    written = find('active_learning.selector')[1]
    own = dict(written) if isinstance(written, Mapping) else {}
    problems = []
    asks = unit_named(unit)
    for key, argument in asks.selector_keys.items():
        where = f'{_SETTINGS}{unit}.{key}'
        problems += _unlike(find, where, argument, selector, own)
    if asks.grouped:
        where = _SETTINGS + 'region.answer'
        answer = find(where)[1] or 'all'
        if own.get('answer', answer) != answer:
            problems.append(
                f'active_learning.selector.answer: {own["answer"]!r} is not '
                f'what {where} says, {answer!r}, by which the first labels '
                'are asked and paid; write it there alone'
            )
    if written is not None and not asks.whole:
        where = f'{_SETTINGS}{unit}.sample_evenly'
        there, evenly = find(where)
        spread = getattr(kind, 'evenly', None)
        if there and spread is not None and evenly is not spread:
            spends = (
                'gives every image the same share'
                if spread
                else 'spends the budget anywhere in the pool'
            )
            problems.append(
                f'{where}: {evenly} does not count with {selector["type"]}, '
                f'which {spends}; write {spread}, or leave it out'
            )
    return problems + _of_opening(find, opener)


def _of_opening(find: Find, opener: str | None) -> list[str]:
    """Find unused keys of ``mixed``, where images are opened."""
    if opener is None:
        return []
    problems = []
    first, split = (
        _SETTINGS + f'mixed.{x}' for x in ('first_pixels', 'split')
    )
    value = find(first)[1]
    if value is not None and find(split)[1] != 'score_per_cost':
        problems.append(
            f"{first}: counts with split='score_per_cost' alone; got {value} "
            f'beside split={find(split)[1] or "even"!r}. Leave it out'
        )
    aggregate = _SETTINGS + 'image.aggregate'
    there, value = find(aggregate)
    if there and opener in SELECTORS.module_dict:
        part = find(_SETTINGS + 'mixed.selector')[1]
        own = dict(part) if isinstance(part, Mapping) else {}
        chosen = {'type': opener, **own}
        problems += _unlike(find, aggregate, 'aggregate', chosen, own)
    return problems


def _unlike(
    find: Find,
    where: str,
    argument: str,
    selector: Mapping[str, Any],
    own: Mapping[str, Any],
) -> list[str]:
    """Check that a selector takes a key, and does not overrule it."""
    value = find(where)[1]
    if value is None or value is False:
        return []
    if not takes(selector['type'], argument):
        return [
            f'{where}: {selector["type"]} does not use it; got {value!r}. '
            'Leave it out, or write another selector'
        ]
    if argument in own and own[argument] != value:
        return [
            f'{where}: {value!r} contradicts {argument}={own[argument]!r} of '
            f'{selector["type"]}; leave one of the two out'
        ]
    return []
