"""Read the keys of SegAL from a config, with everything that is wrong."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Mapping
from typing import Any, TypeVar

from mmcv import Config
from pydantic import ValidationError

from segal.config.keys import BY_NAME, Experiment, Key, Section, section_of
from segal.config.shapes import find
from segal.errors import nearest, short

_Found = TypeVar('_Found')
_Model = TypeVar('_Model', bound=Section)
_REQUIRED_SECTIONS = ('active_learning', 'runner')


class Values:
    """The values of all keys, checked, with defaults for the others.

    Attributes:
        keys: All of them, as they are nested in the config.
        problems: One sentence for each key that is wrong or missing.
    """

    def __init__(self, cfg: Config) -> None:
        self.cfg = cfg
        self.keys, self.problems = checked(Experiment, cfg)
        self._name_missing()

    def __getitem__(self, name: str) -> Any:
        """Return the value of a key by its dotted name."""
        return functools.reduce(getattr, name.split('.'), self.keys)

    def keep(self, found: tuple[_Found, list[str]]) -> _Found:
        """Keep the problems of what was read, and return the rest."""
        self.problems += found[1]
        return found[0]

    def find(self, name: str) -> tuple[bool, Any]:
        """Look up a dotted key as the config has it.

        Returns:
            Whether it is there, and its value.
        """
        return find(self.cfg, name)

    def _name_missing(self) -> None:
        """Name the required keys and sections that are not there."""
        for name in _REQUIRED_SECTIONS:
            if not self.find(name)[0]:
                self._missing(name, 'a dict')
        wrong = {problem.partition(':')[0] for problem in self.problems}
        for name, key in BY_NAME.items():
            parent = name.rpartition('.')[0]
            known = parent in ('', 'data') or self.find(parent)[0]
            if (
                key.required
                and known
                and name not in wrong
                and not self.find(name)[0]
            ):
                self._missing(name, key.wanted)

    def _missing(self, name: str, wanted: str) -> None:
        if name == 'data.query':
            self.problems.append(
                'data.query: required, the pool of images; got nothing. Write '
                'query=dict(type=..., data_root=..., img_dir=..., '
                'pipeline=test_pipeline) with the images of data.train'
            )
            return
        parent, _, last = name.rpartition('.')
        section = self.find(parent)[1] if parent else self.cfg
        known = isinstance(section, (Mapping, Config))
        names = map(str, section) if known else ()
        close = difflib.get_close_matches(last, names, n=1)
        seen = f' (is {close[0]!r} meant to be it?)' if close else ''
        self.problems.append(f'{name}: required, {wanted}; got nothing{seen}')


def checked(
    model: type[_Model], written: Any, where: str = ''
) -> tuple[_Model, list[str]]:
    """Validate a section; wrong values count as not written.

    Returns:
        The section, and one sentence for each key that is wrong or unknown.
    """
    plain, problems = _sections(written, model), list[str]()
    while True:
        try:
            return model.model_validate(plain), problems
        except ValidationError as error:
            for path in dict.fromkeys(
                _path(one['loc'], model) for one in error.errors()
            ):
                problems.append(_take(path, plain, model, where))


def _sections(written: Any, model: type[Section]) -> dict[str, Any]:
    """Copy a config's sections of SegAL into plain dicts."""
    copied = {
        name: written[name]
        for name in written
        if name in model.model_fields
        or model.model_config.get('extra') == 'forbid'
    }
    for name, field in model.model_fields.items():
        inner = section_of(field)
        if inner is not None and isinstance(copied.get(name), Mapping):
            copied[name] = _sections(copied[name], inner)
    return {str(name): value for name, value in copied.items()}


def _path(
    location: tuple[int | str, ...], model: type[Section] | None
) -> tuple[str, ...]:
    """Cut an error's location after the key it belongs to."""
    path: list[str] = []
    for part in location:
        if model is None:
            break
        path.append(str(part))
        field = model.model_fields.get(str(part))
        model = section_of(field) if field is not None else None
    return tuple(path)


def _take(
    path: tuple[str, ...], here: Any, model: type[Section], where: str
) -> str:
    """Take out a value that is wrong or unknown, and say what is wrong."""
    for part in path[:-1]:
        inner = section_of(model.model_fields[part])
        assert inner is not None
        here, model = here[part], inner
    last = path[-1]
    name, value = '.'.join([where, *path]).lstrip('.'), here.pop(last)
    field = model.model_fields.get(last)
    if field is None:
        return f'{name}: unknown key' + nearest(last, model.model_fields)
    wanted = Key(name, field).wanted
    guess = ''
    if wanted.startswith('one of') and isinstance(value, str):
        guess = nearest(value, wanted.split("'")[1::2])
    return f'{name}: wanted {wanted}; got {short(value)}{guess}'
