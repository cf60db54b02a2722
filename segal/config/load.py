"""From a file and the command line to one mmcv Config."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmcv import Config

from segal.config.bases import bases_set_aside, join_sections
from segal.errors import ConfigError, SegALError

_NOTES = '_segal_notes'
"""Where notes wait in the Config until it is read."""


def load_config(
    path: str, cfg_options: Mapping[str, Any] | None = None
) -> Config:
    """Read a config file with its bases and the command line's changes.

    Args:
        path: A .py, .json, .yml or .yaml file.
        cfg_options: Dotted key -> value, as mmcv's ``DictAction`` makes it.

    Returns:
        The merged config, not yet translated or checked.

    Raises:
        ConfigError: No such file, an error in it, or an option that fits
            nowhere.
    """
    if not Path(path).expanduser().is_file():
        raise ConfigError(f'{path}: no such file')
    search_path = list(sys.path)
    try:
        with bases_set_aside(path):
            cfg = Config.fromfile(path)
        notes = join_sections(cfg)
    except SegALError as error:
        _drop_temporary_files(error)
        raise
    except Exception as error:
        # A config is a program: anything may come out of it.
        _drop_temporary_files(error)
        raise ConfigError(f'{path}: {_in_words(error)}') from error
    finally:
        sys.path[:] = search_path
    if cfg_options:
        _apply(cfg, dict(cfg_options))
    if notes:
        cfg[_NOTES] = notes
    return cfg


def waiting_notes(cfg: Config) -> list[str]:
    """What ``load_config`` had to say, taken out of the config."""
    notes = cfg._cfg_dict.pop(_NOTES, [])
    return list(notes)


def _drop_temporary_files(error: Exception) -> None:
    """Let go of what mmcv leaves behind when a config fails.

    A temporary file, whose folder is already gone, would complain about that
    on stderr whenever it is collected.
    """
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        traceback.clear_frames(error.__traceback__)
    finally:
        sys.unraisablehook = hook


def _in_words(error: Exception) -> str:
    text = str(error).strip('\'"') or 'no further words'
    if isinstance(error, FileNotFoundError):
        return f'a base or file is missing: {text}'
    return f'{type(error).__name__}: {text}'


def _apply(cfg: Config, options: dict[str, Any]) -> None:
    """Merge the command line's options, in place."""
    for key in options:
        _open_way(cfg._cfg_dict, key)
    try:
        cfg.merge_from_dict(options)
    except Exception as error:
        keys = ', '.join(options)
        raise ConfigError(
            f'--cfg-options: one of {keys} fits nowhere in the config: '
            f'{_in_words(error)}'
        ) from error


def _open_way(cfg: Any, key: str) -> None:
    """Turn what stands in the way of a dotted key into a dict, in place.

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
