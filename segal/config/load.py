"""Load a config file, with changes of the command line."""

from __future__ import annotations

import os.path as osp
import re
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmcv import Config, load

from segal.config.fingerprint import COUNTS
from segal.config.inherited import inherited_keys, own_part
from segal.errors import ConfigError, SegALError, nearest, raised_at, short
from segal.openmmlab.bases import bases_set_aside, join_sections

SUFFIXES = ('.py', '.json', '.yml', '.yaml')
_OTHERS = (
    'checkpoint_config',
    'log_config',
    'log_level',
    'test_cfg',
    'train_cfg',
    'work_dir',
    'workflow',
)
"""Sections beside those of COUNTS that an option may bring in."""

_MISSING = re.compile(r'file "(.+?)" does not exist')

_NOTES = '_segal_notes'
"""Key of the notes in a Config, until it is read."""

_INHERITED = '_segal_inherited'
"""Key of the inherited keys in a Config, until it is read."""


def work_dir_of(cfg: Config, path: Path | str) -> Path:
    """Find where an experiment is written, unless the command line says so.

    Args:
        cfg: As loaded.
        path: Of the config.
    """
    return Path(cfg.get('work_dir') or Path('work_dirs', Path(path).stem))


def load_config(
    path: str, cfg_options: Mapping[str, Any] | None = None
) -> Config:
    """Read a config file with its bases and the command line's changes.

    ``custom_imports`` finds modules beside the config, too.

    Args:
        path: A .py, .json, .yml or .yaml file.
        cfg_options: Dotted key -> value, as mmcv's ``DictAction`` makes it.

    Returns:
        The merged config, not yet translated or checked.

    Raises:
        ConfigError: No such file, an error in it, or an option that fits
            nowhere.
    """
    _check_path(path)
    search_path = list(sys.path)
    # last, so that a random.py beside the config hides no other module
    sys.path.append(str(Path(path).expanduser().resolve().parent))
    try:
        if Path(path).suffix != '.py' and not isinstance(load(path), dict):
            raise ConfigError(
                f'{path}: wanted sections such as model and data, by name; '
                f'got {short(load(path))}'
            )
        with bases_set_aside(path), own_part() as own:
            cfg = Config.fromfile(path)
        notes = join_sections(cfg)
    except SegALError as error:
        _drop_temporary_files(error)
        raise
    except Exception as error:
        # A config is a program: anything may come out of it.
        _drop_temporary_files(error)
        hint = _hint_on_missing(str(error), path)
        raise ConfigError(f'{path}: {_in_words(error)}{hint}') from error
    finally:
        sys.path[:] = search_path
    if cfg_options:
        _apply(cfg, dict(cfg_options))
    if notes:
        cfg[_NOTES] = notes
    inherited = inherited_keys(cfg, own, cfg_options or ())
    if inherited:
        cfg[_INHERITED] = inherited
    return cfg


def _check_path(path: str) -> None:
    """Check that a path can be read as a config."""
    file = Path(path).expanduser()
    got = ''
    if file.is_dir():
        got = 'a folder'
    elif not file.is_file():
        got = f'no such file (seen from {Path.cwd()})'
    elif file.suffix not in SUFFIXES:
        got = f'{file.suffix or "no suffix"!r}'
    if got:
        raise ConfigError(
            f'{path}: wanted a config file that ends in one of '
            f'{", ".join(SUFFIXES)}; got {got}; correct the path'
        )


def waiting_notes(cfg: Config) -> list[str]:
    """Take the notes of ``load_config`` out of a config."""
    notes = cfg._cfg_dict.pop(_NOTES, [])
    return list(notes)


def waiting_inherited(cfg: Config) -> frozenset[str]:
    """Take the dotted keys that came from a base out of a config."""
    return frozenset(cfg._cfg_dict.pop(_INHERITED, []))


def _drop_temporary_files(error: Exception) -> None:
    """Drop the temporary files that mmcv leaves when a config fails.

    A temporary file whose folder is gone would print an error when it is
    collected.
    """
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        traceback.clear_frames(error.__traceback__)
    finally:
        sys.unraisablehook = hook


def _in_words(error: BaseException) -> str:
    if isinstance(error, ImportError) and not str(error) and error.__context__:
        # mmcv's custom_imports raises it without the cause
        return f'custom_imports: {_in_words(error.__context__)}'
    text = str(error) or 'no further words'
    if isinstance(error, KeyError):
        text = text.strip('\'"')
    if isinstance(error, FileNotFoundError):
        return f'a base or file is missing: {text}'
    return f'{type(error).__name__}: {text}{_line(error)}'


def _line(error: BaseException) -> str:
    """Name the line that raised; mmcv ran a copy of the config, now gone."""
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, SyntaxError) or not frames:
        return ''
    last = frames[-1]
    if Path(last.filename).exists():
        ours = not last.filename.startswith((sys.prefix, sys.base_prefix))
        return f' ({raised_at(error)})' if ours else ''
    if not last.filename.endswith('.py'):
        return ''
    return f' (line {last.lineno} of it or of a base)'


def _hint_on_missing(said: str, config: str) -> str:
    """Say where a missing base was found higher up."""
    found = _MISSING.search(said)
    if found is None:
        return ''
    top = Path(config).expanduser().resolve()
    missing = Path(found[1])
    tail = _tail(missing, top)
    ancestors = [top.parent, *top.parent.parents, Path.cwd()]
    for parts in (tail[i:] for i in range(len(tail))):
        for folder in dict.fromkeys(ancestors):
            for inside in ('.', 'configs', 'experiments'):
                place = (folder / inside / Path(*parts)).resolve()
                if place.is_file():
                    return _sentence(place, len(parts), top)
    return (
        '; paths in _base_ count from the folder of the file that names '
        'them: correct _base_'
    )


def _tail(missing: Path, top: Path) -> tuple[str, ...]:
    """Cut a base's path to the part after its last ``..``."""
    parts = missing.parts
    if '..' in parts:
        return parts[len(parts) - parts[::-1].index('..') :]
    if missing.is_absolute() and missing.is_relative_to(top.parent):
        return missing.relative_to(top.parent).parts
    return tuple(part for part in parts if part != missing.anchor)[-4:]


def _sentence(place: Path, depth: int, top: Path) -> str:
    folder = place.parents[depth - 1]
    return (
        f'; paths in _base_ count from the folder of the file that names '
        f'them. {Path(*place.parts[-depth:])} was found in {folder}: write '
        f'{osp.relpath(place, top.parent)!r} (as seen from {top}), or move '
        'the config'
    )


def _apply(cfg: Config, options: dict[str, Any]) -> None:
    """Merge the command line's options, in place."""
    sections = {*cfg._cfg_dict, *COUNTS, *_OTHERS}
    unknown = [
        f'--cfg-options {key}: fits nowhere, the config has no section '
        f'{key.split(".")[0]!r}' + nearest(key.split('.')[0], sections)
        for key in options
        if key.split('.')[0] not in sections
    ]
    if unknown:
        raise ConfigError(unknown)
    for key in options:
        _open_way(cfg._cfg_dict, key)
    try:
        cfg.merge_from_dict(options)
    except Exception as error:
        keys = ', '.join(options)
        raise ConfigError(
            f'--cfg-options: one of {keys} fits nowhere in the config: '
            f'{_in_words(error)[:300]}'
        ) from error


def _open_way(cfg: Any, key: str) -> None:
    """Replace values on the way of a dotted key by dicts, in place.

    ``heuristic='margin'`` with the option ``heuristic.type=...`` becomes
    ``dict(type='margin')``; ``visualize=None`` with ``visualize.size=5``
    becomes ``{}``.
    """
    here = cfg
    for part in key.split('.')[:-1]:
        if isinstance(here, list):
            if not part.isdigit() or int(part) >= len(here):
                return
            here = here[int(part)]
            continue
        if not isinstance(here, dict) or part not in here:
            return
        if here[part] is None or isinstance(here[part], bool):
            here[part] = type(cfg)()
        elif isinstance(here[part], str):
            here[part] = type(cfg)(type=here[part])
        here = here[part]
