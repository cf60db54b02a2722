"""Translate heuristics and arguments of the first SegAL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mmcv import Config

from segal.config.kinds import Share, accepts, is_int
from segal.config.parts import folded
from segal.config.shapes import find
from segal.errors import short

_AL = 'active_learning.'
_SPARSITY = ('k', 'use_entropy', 'inflection')


def translate_heuristic(cfg: Config) -> tuple[list[str], list[str]]:
    """Translate an old heuristic and its arguments, in place.

    A user's own class of the same name is kept.

    Returns:
        Problems, and one note for each translation.
    """
    active: Any = cfg.get('active_learning')
    if not isinstance(active, Mapping) or not _is_ours(active):
        return [], []
    old = _Translation(cfg, active)
    old.spreading_entropy()
    for where, section in old.arguments():
        old.categories(where, section)
        if _name_of(active) in ('ripu', 'regionimpurity'):
            old.region_impurity(where, section)
        elif {'use_entropy', 'inflection'} & set(section):
            for key in _SPARSITY:
                section.pop(key, None)
            old.notes.append(
                f'{where}: k, use_entropy and inflection are for RIPU and '
                'sparsity; dropped'
            )
    old.entropy_prop()
    return old.problems, old.notes


def _name_of(active: Any) -> str:
    """Fold a heuristic's name to small letters, without underscores."""
    part = active.get('heuristic')
    name = part.get('type') if isinstance(part, Mapping) else part
    return folded(name) if isinstance(name, str) else ''


def _is_ours(active: Any) -> bool:
    """Tell whether the registered heuristic is SegAL's own."""
    import segal.active.heuristics  # noqa: F401
    from segal.registry import HEURISTICS, is_ours

    return all(
        is_ours(known)
        for name, known in HEURISTICS.module_dict.items()
        if folded(name) == _name_of(active)
    )


class _Translation:
    """Translate the ``active_learning`` of a config, in place."""

    def __init__(self, cfg: Config, active: Any) -> None:
        self.cfg = cfg
        self.active = active
        self.problems: list[str] = []
        self.notes: list[str] = []

    def arguments(self) -> Iterator[tuple[str, Any]]:
        """Yield the dicts of a heuristic's arguments, with their keys."""
        for key in ('heuristic', 'heuristic_cfg'):
            if isinstance(self.active.get(key), dict):
                yield f'{_AL}{key}', self.active[key]

    def rename(self, name: str) -> None:
        """Write another heuristic with the same arguments."""
        if isinstance(self.active['heuristic'], dict):
            self.active['heuristic']['type'] = name
        else:
            self.active['heuristic'] = name

    def categories(self, where: str, section: Any) -> None:
        """Drop ``categories``, the number of classes."""
        if 'categories' not in section:
            return
        given = section.pop('categories')
        head = find(self.cfg, 'model.decode_head')[1]
        last = head[-1] if isinstance(head, (list, tuple)) and head else head
        there = find(last, 'num_classes')[1]
        if there is None or given == there:
            self.notes.append(
                f'{where}.categories: {given} is the number of classes, '
                'which the predictions say; dropped'
            )
            return
        self.problems.append(
            f'{where}.categories: wanted the number of classes, {there} '
            f'(model.decode_head.num_classes); got {short(given)}. Leave it '
            'out, the predictions say how many there are'
        )

    def region_impurity(self, where: str, section: Any) -> None:
        """Translate ``use_entropy``, and explain ``k``."""
        if section.pop('inflection', None) is not None:
            self.notes.append(f'{where}.inflection: for sparsity; dropped')
        said = []
        if 'use_entropy' in section:
            use = section.pop('use_entropy')
            if not isinstance(use, bool):
                self.problems.append(
                    f'{where}.use_entropy: wanted True (impurity x '
                    'uncertainty, RIPU) or False (RegionImpurity alone); got '
                    f'{short(use)}'
                )
                return
            new = 'RIPU' if use else 'RegionImpurity'
            self.rename(new)
            said.append(
                f'use_entropy={use} is heuristic={new!r}, region impurity '
                + ('x prediction uncertainty' if use else 'alone')
            )
        k = section.get('k')
        if is_int(k):
            side = 2 * k + 1
            said.append(
                f'k={k} is a square of {side}x{side} pixels around each, as '
                "in RIPU's paper"
            )
        if said:
            self.notes.append(f'{where}: {"; ".join(said)}')

    def spreading_entropy(self) -> None:
        """Translate ``sparsity``: entropy with picks spread out in space."""
        active, old = self.active, self.active.get('heuristic')
        if _name_of(active) not in ('sparsity', 'spatialsparsity'):
            return
        self.rename('Entropy')
        mode = find(self.cfg, 'runner.sample_mode')[1]
        pixel = find(active, 'settings.pixel')[1]
        if mode != 'pixel' or not isinstance(pixel, dict):
            self.problems.append(
                f'{_AL}heuristic: {old!r} spreads single pixels, with '
                "sample_mode='pixel'; got sample_mode="
                f"{mode!r}. Write 'Entropy', the nearest there is"
            )
            return
        said = [f"{_AL}heuristic: {old!r} is read as 'Entropy'"]
        gone = [
            key
            for _, section in self.arguments()
            for key in ('k', 'inflection')
            if section.pop(key, None) is not None
        ]
        if active.get('selector') is None:
            if pixel.get('sample_evenly') is False:
                pixel['sample_evenly'] = True
                said[0] += ', with sample_evenly=True'
            active['selector'] = type(self.cfg._cfg_dict)(type='PixelsSpread')
            said[0] += (
                " with selector='PixelsSpread', the nearest there is: the "
                'highest entropy, picks of an image at least 8 pixels apart'
            )
            if pixel.get('sample_threshold'):
                said.append(
                    f'sample_threshold={pixel.pop("sample_threshold")} '
                    'dropped, it does not go with this'
                )
        if gone:
            said.append(f'{", ".join(gone)} dropped')
        self.notes.append('; '.join(said))

    def entropy_prop(self) -> None:
        """Translate ``entropy_prop``, the share of a budget by entropy."""
        for unit in ('pixel', 'image', 'region'):
            section: Any = find(self.active, f'settings.{unit}')[1]
            if not isinstance(section, dict):
                continue
            share = section.pop('entropy_prop', None)
            where = f'{_AL}settings.{unit}.entropy_prop'
            given = self.active.get('shuffle_prop')
            if share is None:
                continue
            if _name_of(self.active) != 'entropy':
                self.notes.append(
                    f"{where}: ignored, it goes with heuristic='entropy'; "
                    f'{_AL}shuffle_prop says which share is drawn at random'
                )
            elif not accepts(Share, share):
                self.problems.append(
                    f'{where}: wanted the share of each budget that goes by '
                    f'entropy, 0 to 1; got {short(share)}. Or leave it out, '
                    f'and give the rest as {_AL}shuffle_prop'
                )
            elif given and given != round(1 - share, 10):
                self.problems.append(
                    f'{where}: {share} is shuffle_prop='
                    f'{round(1 - share, 10)}; got {_AL}shuffle_prop='
                    f'{short(given)}. Leave one of them out'
                )
            else:
                rest = self.active['shuffle_prop'] = round(1 - share, 10)
                self.notes.append(
                    f'{where}: {share} of each budget goes by entropy and '
                    f'the rest at random, read as {_AL}shuffle_prop={rest}'
                )
