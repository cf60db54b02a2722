"""Translate heuristics and arguments of the first SegAL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmcv import Config

from segal.errors import short

_AL = 'active_learning.'
_RIPU = ('ripu', 'regionimpurity')


def translate_heuristic(cfg: Config) -> tuple[list[str], list[str]]:
    """Translate an old heuristic and its arguments, in place.

    A user's own class of the same name is kept.

    Returns:
        Problems, and one note for each translation.
    """
    active: Any = cfg.get('active_learning')
    if not isinstance(active, Mapping) or not _is_ours(active):
        return [], []
    problems: list[str] = []
    notes: list[str] = []
    _spreading_entropy(active, cfg, problems, notes)
    for where, section in _arguments(active):
        _categories(cfg, active, where, section, problems, notes)
        _ripu(active, where, section, problems, notes)
    _entropy_prop(active, problems, notes)
    return problems, notes


def name_of(active: Any) -> str:
    """Fold a heuristic's name to small letters, without underscores."""
    part = active.get('heuristic')
    name = part.get('type') if isinstance(part, Mapping) else part
    if not isinstance(name, str):
        return ''
    return name.lower().replace('_', '').replace('-', '')


def _is_ours(active: Any) -> bool:
    """Tell whether the registered heuristic is SegAL's own."""
    import segal.active.heuristics  # noqa: F401
    from segal.registry import HEURISTICS, is_ours

    folded = name_of(active)
    return all(
        is_ours(known)
        for name, known in HEURISTICS.module_dict.items()
        if name.lower().replace('_', '').replace('-', '') == folded
    )


def _rename(active: Any, name: str) -> None:
    if isinstance(active['heuristic'], dict):
        active['heuristic']['type'] = name
    else:
        active['heuristic'] = name


def _arguments(active: Any) -> list[tuple[str, Any]]:
    """Find the dicts of a heuristic's arguments, with their keys."""
    return [
        (f'{_AL}{key}', active[key])
        for key in ('heuristic', 'heuristic_cfg')
        if isinstance(active.get(key), dict)
    ]


def _categories(
    cfg: Config,
    active: Any,
    where: str,
    section: Any,
    problems: list[str],
    notes: list[str],
) -> None:
    """Drop ``categories``, the number of classes."""
    if 'categories' not in section:
        return
    given = section.pop('categories')
    head = (cfg.get('model') or {}).get('decode_head')
    last = head[-1] if isinstance(head, (list, tuple)) and head else head
    there = last.get('num_classes') if isinstance(last, Mapping) else None
    if there is not None and given != there:
        problems.append(
            f'{where}.categories: wanted the number of classes, {there} '
            f'(model.decode_head.num_classes); got {short(given)}. Leave it '
            'out, the predictions say how many there are'
        )
        return
    notes.append(
        f'{where}.categories: {given} is the number of classes, which the '
        'predictions say; dropped'
    )


def _ripu(
    active: Any,
    where: str,
    section: Any,
    problems: list[str],
    notes: list[str],
) -> None:
    """Translate ``k``, ``use_entropy`` and ``inflection``."""
    if name_of(active) not in _RIPU:
        if {'use_entropy', 'inflection'} & set(section):
            for key in ('k', 'use_entropy', 'inflection'):
                section.pop(key, None)
            notes.append(
                f'{where}: k, use_entropy and inflection are for RIPU and '
                'sparsity; dropped'
            )
        return
    if section.pop('inflection', None) is not None:
        notes.append(f'{where}.inflection: for sparsity; dropped')
    if not {'use_entropy', 'k'} & set(section):
        return
    said = []
    if 'use_entropy' in section:
        use = section.pop('use_entropy')
        if not isinstance(use, bool):
            problems.append(
                f'{where}.use_entropy: wanted True (impurity x uncertainty, '
                f'RIPU) or False (RegionImpurity alone); got {short(use)}'
            )
            return
        new = 'RIPU' if use else 'RegionImpurity'
        _rename(active, new)
        said.append(
            f'use_entropy={use} is heuristic={new!r}, region impurity '
            + ('x prediction uncertainty' if use else 'alone')
        )
    k = section.get('k')
    if isinstance(k, int) and not isinstance(k, bool):
        side = 2 * k + 1
        said.append(
            f'k={k} is a square of {side}x{side} pixels around each, as in '
            "RIPU's paper"
        )
    if said:
        notes.append(f'{where}: {"; ".join(said)}')


def _spreading_entropy(
    active: Any, cfg: Config, problems: list[str], notes: list[str]
) -> None:
    """Translate ``sparsity``: entropy with picks spread out in space."""
    if name_of(active) not in ('sparsity', 'spatialsparsity'):
        return
    runner = cfg.get('runner')
    mode = runner.get('sample_mode') if isinstance(runner, Mapping) else None
    settings = active.get('settings')
    pixel = settings.get('pixel') if isinstance(settings, Mapping) else None
    old = active['heuristic']
    if mode != 'pixel' or not isinstance(pixel, dict):
        problems.append(
            f'{_AL}heuristic: {old!r} spreads single pixels, with '
            "sample_mode='pixel'; got sample_mode="
            f"{mode!r}. Write 'Entropy', the nearest there is"
        )
        _rename(active, 'Entropy')
        return
    _rename(active, 'Entropy')
    said = f"{_AL}heuristic: {old!r} is read as 'Entropy'"
    gone = [
        key
        for _, section in _arguments(active)
        for key in ('k', 'inflection')
        if section.pop(key, None) is not None
    ]
    if active.get('selector') is None:
        if pixel.get('sample_evenly') is False:
            pixel['sample_evenly'] = True
            said += ', with sample_evenly=True'
        active['selector'] = type(cfg._cfg_dict)(type='PixelsSpread')
        said += (
            " with selector='PixelsSpread', the nearest there is: the "
            'highest entropy, picks of an image at least 8 pixels apart'
        )
        if pixel.get('sample_threshold'):
            said += (
                f'; sample_threshold={pixel["sample_threshold"]} dropped, '
                'it does not go with this'
            )
            del pixel['sample_threshold']
    if gone:
        said += f'; {", ".join(gone)} dropped'
    notes.append(said)


def _entropy_prop(active: Any, problems: list[str], notes: list[str]) -> None:
    """Translate ``entropy_prop``, the share of a budget spent by entropy."""
    settings = active.get('settings')
    for unit in ('pixel', 'image', 'region'):
        section: Any = (
            settings.get(unit) if isinstance(settings, Mapping) else None
        )
        if not isinstance(section, dict) or 'entropy_prop' not in section:
            continue
        where = f'{_AL}settings.{unit}.entropy_prop'
        share = section.pop('entropy_prop')
        if share is None:
            continue
        if name_of(active) != 'entropy':
            notes.append(
                f'{where}: ignored, it goes with heuristic={"entropy"!r}; '
                f'{_AL}shuffle_prop says which share is drawn at random'
            )
            continue
        if (
            isinstance(share, bool)
            or not isinstance(share, (int, float))
            or not 0 <= share <= 1
        ):
            problems.append(
                f'{where}: wanted the share of each budget that goes by '
                f'entropy, 0 to 1; got {short(share)}. Or leave it out, and '
                f'give the rest as {_AL}shuffle_prop'
            )
            continue
        rest = round(1 - share, 10)
        given = active.get('shuffle_prop')
        if given and given != rest:
            problems.append(
                f'{where}: {share} is shuffle_prop={rest}; got '
                f'{_AL}shuffle_prop={short(given)}. Leave one of them out'
            )
            continue
        active['shuffle_prop'] = rest
        notes.append(
            f'{where}: {share} of each budget goes by entropy and the rest '
            f'at random, read as {_AL}shuffle_prop={rest}'
        )
