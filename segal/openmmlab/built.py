"""Explain why a registry cannot build a part, with the part's key."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mmcv.cnn import MODELS as MMCV_MODELS
from mmcv.runner import HOOKS
from mmcv.runner.optimizer import OPTIMIZERS
from mmseg.datasets import DATASETS, PIPELINES
from mmseg.models.builder import MODELS

from segal.errors import ConfigError, SegALError, nearest, raised_at, short

_REGISTRIES = {
    registry.name: registry.module_dict
    for registry in (
        MMCV_MODELS,
        HOOKS,
        OPTIMIZERS,
        DATASETS,
        PIPELINES,
        MODELS,
    )
}
_UNKNOWN = re.compile(r'(\S+) is not in the (.+) registry')
_TWICE = re.compile(
    r"(\w+): .*got multiple values for keyword argument '(\w+)'"
)
_ENDINGS = ('Dataset', 'Loss', 'Hook', 'Head')
"""Endings that people leave out."""

_FEW = 20
"""Valid names that are listed at most; of more, only the nearest."""


def not_built(where: str, section: Any, error: Exception) -> str:
    """Explain in one sentence why a part cannot be built from its config.

    Args:
        where: Dotted path of the section.
        section: Its value.
        error: The error of mmcv's ``build_from_cfg``: the innermost message
            behind the names of all outer parts.
    """
    if isinstance(error, ConfigError):  # it is explained already
        return '; '.join(f'{where}: {one}' for one in error.problems)
    said = _plain(error)
    unknown = _UNKNOWN.search(said)
    twice = _TWICE.match(said)
    if twice is not None:
        return (
            f'{where}.{twice[2]}: {twice[1]} sets it itself; take it out, or '
            "write a type that leaves it open, such as 'CustomDataset' with "
            'classes and palette for a data set'
        )
    if unknown is None:
        kind = type(error).__name__
        # the message of a constructor's TypeError needs no name
        kind = '' if isinstance(error, (TypeError, KeyError)) else f'{kind}: '
        return (
            f'{where}: cannot be built: {kind}{said}; correct it (got '
            f'{short(section)})'
        )
    name = unknown[1].strip('\'"')
    paths = list(_named(where, section, name))
    return (
        f'{paths[0] if paths else where}.type: {name!r} is not registered'
        + _guess(name, unknown[2])
    )


@contextmanager
def building(where: str, section: Any) -> Iterator[None]:
    """Explain why a part cannot be built in this block.

    Raises:
        ConfigError: See :func:`not_built`; other errors of ours stay.
    """
    try:
        yield
    except ConfigError as error:
        problems = [f'{where}: {one}' for one in error.problems]
        raise ConfigError(problems) from error
    except SegALError:
        raise
    except Exception as error:
        raise ConfigError(not_built(where, section, error)) from error


def _plain(error: Exception) -> str:
    """Remove the quotes that each KeyError adds around the inner one."""
    said = str(error) or 'no further words'
    if not isinstance(error, KeyError):
        return said
    said = said.replace('\\', '').rstrip('\'"')
    return re.sub(r'(^|: )[\'"]+', r'\1', said)


def _named(where: str, part: Any, name: str) -> Iterator[str]:
    """List the dotted paths of the dicts of a type inside a section."""
    if isinstance(part, Mapping):
        if part.get('type') == name:
            yield where
        for key, value in part.items():
            yield from _named(f'{where}.{key}', value, name)
    elif isinstance(part, (list, tuple)):
        for index, value in enumerate(part):
            yield from _named(f'{where}[{index}]', value, name)


def _guess(name: str, registry: str) -> str:
    """Suggest the nearest name, and how to register one's own."""
    names = sorted(_REGISTRIES.get(registry, {}))
    own = 'if it is your own, name its module in custom_imports'
    said = nearest(name, names) if names else ''
    if len(names) <= _FEW:
        return f'{said}; {own}'
    for ending in ('', *_ENDINGS):
        said = nearest(name + ending, names).split(' (valid')[0].rstrip()
        if said:
            break
    return f'{said} ({own})'


@contextmanager
def understood() -> Iterator[None]:
    """Turn errors from values of a wrong kind into config errors.

    While a config is read and its parts are built, nothing is written yet
    that could be at fault.

    Raises:
        ConfigError: For any fault of that sort.
    """
    try:
        yield
    except (
        *(TypeError, AttributeError, LookupError, AssertionError),
        *(ValueError, RecursionError, ArithmeticError),
    ) as error:
        said = str(error).strip() or 'no further words'
        raise ConfigError(
            'the config: a value is of another kind than its reader wants '
            f'({type(error).__name__}: {said[:300]}; {raised_at(error)}); '
            'correct it (--debug shows what was read)'
        ) from error
