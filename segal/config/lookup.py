"""Values of a config by their dotted names, checked against the table."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from mmcv import Config

from segal.config.keys import BY_NAME, REQUIRED, children
from segal.errors import nearest
from segal.openmmlab.kinds import short

_SECTIONS = (
    'active_learning',
    'active_learning.settings',
    'active_learning.settings.image',
    'active_learning.settings.pixel',
    'active_learning.costs',
    'active_learning.settings.region',
    'active_learning.settings.mixed',
    'active_learning.visualize',
    'active_learning.sources',
    'active_learning.initial',
    'active_learning.reset',
    'active_learning.class_balance',
    'active_learning.average',
    'active_learning.pseudo_labels',
    'runner',
)


class Lookup:
    """Collects values, problems and notes from one config."""

    def __init__(self, cfg: Config) -> None:
        self.cfg = cfg
        self.problems: list[str] = []
        self.notes: list[str] = []

    def _find(self, name: str) -> tuple[bool, Any]:
        """Whether a dotted key is there, and its value."""
        here: Any = self.cfg
        for part in name.split('.'):
            if not isinstance(here, (Mapping, Config)) or part not in here:
                return False, None
            here = here[part]
        return True, here

    def _check_sections(self) -> None:
        """Sections that are no dicts, and keys nobody knows."""
        for name in _SECTIONS:
            there, section = self._find(name)
            if not there:
                if name in ('active_learning', 'runner'):
                    self._missing(name, 'a dict')
                continue
            if not isinstance(section, Mapping):
                if name not in BY_NAME:
                    self.problems.append(
                        f'{name}: wanted a dict; got {short(section)}'
                    )
                continue
            valid = children(name)
            for key in section:
                if key in valid:
                    continue
                self.problems.append(
                    f'{name}.{key}: unknown key' + nearest(key, valid)
                )

    def _value(self, name: str) -> Any:
        """A value of ours: checked, or its default."""
        key = BY_NAME[name]
        there, value = self._find(name)
        if there and key.kind.accepts(value):
            return value
        default = None if key.default is REQUIRED else key.default
        if there:
            guess = (
                nearest(value, _quoted(key.kind.wanted))
                if key.kind.wanted.startswith('one of')
                and isinstance(value, str)
                else ''
            )
            self.problems.append(
                f'{name}: wanted {key.kind.wanted}; got {short(value)}{guess}'
            )
        elif key.default is REQUIRED and self._parent_is_there(name):
            if name == 'data.query':
                self._missing_query()
            else:
                self._missing(name, key.kind.wanted)
        return default

    def _parent_is_there(self, name: str) -> bool:
        parent = name.rpartition('.')[0]
        return not parent or parent == 'data' or self._find(parent)[0]

    def _missing(self, name: str, wanted: str) -> None:
        parent, _, last = name.rpartition('.')
        section = self._find(parent)[1] if parent else self.cfg
        known = isinstance(section, (Mapping, Config))
        names = map(str, section) if known else ()
        close = difflib.get_close_matches(last, names, n=1)
        seen = f' (is {close[0]!r} meant to be it?)' if close else ''
        self.problems.append(f'{name}: required, {wanted}; got nothing{seen}')

    def _missing_query(self) -> None:
        self.problems.append(
            'data.query: required, the pool of images; got nothing. Write '
            'query=dict(type=..., data_root=..., img_dir=..., '
            'pipeline=test_pipeline) with the images of data.train'
        )


def _quoted(wanted: str) -> list[str]:
    return wanted.split("'")[1::2]
