"""Check the paths of pictures and checkpoints in a config."""

from __future__ import annotations

import os.path as osp
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from mmcv import Config

from segal.config.shapes import dicts_in, find
from segal.errors import StateError, short

OWN_FOLDERS = (
    *('labels', 'superpixels', 'features', 'tf_logs', 'wandb', 'committee'),
    *('config.py', 'config.json', 'rounds.json', 'pool.json', 'times.json'),
    *('machine.json', 'curve.png', 'curve_cost.png', 'picks', 'rounds'),
    *('pool_sizes.json', 'read_files.json'),
)
"""Names of SegAL's own files in a work_dir."""


_FEATURES = 'active_learning.features.checkpoint'


def check_places(cfg: Config) -> list[str]:
    """Check the folder of pictures, and the keys of checkpoints."""
    problems: list[str] = []
    there, folder = find(cfg, 'active_learning.visualize.dir')
    if there:
        problems += _pictures(folder)
    for name in ('checkpoint_config', 'evaluation'):
        folder = find(cfg, f'{name}.out_dir')[1]
        if folder:
            problems.append(
                f'{name}.out_dir: wanted None, since each round keeps its '
                f'checkpoints in the work_dir; got {short(folder)}. Leave it '
                'out, and name the folder with --work-dir'
            )
    source = cfg.get('resume_from')
    if source:
        problems.append(
            f'resume_from: wanted None, since an experiment goes on from its '
            f'own work_dir; got {short(source)}'
            + (
                ', which does not exist'
                if isinstance(source, str) and not osp.exists(source)
                else ''
            )
            + '. Name the folder with --work-dir (and --resume), or write '
            "load_from to begin with a checkpoint's weights"
        )
    return problems


def check_checkpoints(cfg: Config) -> None:
    """Check that checkpoints on this disk exist, without reading them.

    Raises:
        StateError: Some are missing.
    """
    missing = []
    named = local_checkpoints(cfg)
    named.pop(_FEATURES, None)  # described without weights
    for where, path in named.items():
        if not path.is_file():
            got = 'a folder' if path.is_dir() else 'no such file'
            missing.append(
                f'{where}: wanted a checkpoint, got {got}: {path} (seen from '
                f'{Path.cwd()}); correct the path, or leave {where} out'
            )
    if missing:
        raise StateError('\n  '.join(missing))


def local_checkpoints(cfg: Config) -> dict[str, Path]:
    """List the checkpoints on this disk that a config begins with, by key."""
    named = {
        'load_from': cfg.get('load_from'),
        'runner.checkpoint': cfg.runner.get('checkpoint'),
        _FEATURES: find(cfg, _FEATURES)[1],
    }
    if not cfg.get('load_from'):
        for where, part in dicts_in(cfg.get('model'), 'model'):
            if part.get('type') == 'Pretrained':
                named[f'{where}.checkpoint'] = part.get('checkpoint')
            if where in ('model', 'model.backbone'):
                named[f'{where}.pretrained'] = part.get('pretrained')
    return {
        where: Path(source).expanduser()
        for where, source in named.items()
        if isinstance(source, str) and source and '://' not in source
    }


def _pictures(folder: Any) -> Iterator[str]:
    """Check that pictures have a folder of their own in the work_dir."""
    where = 'active_learning.visualize.dir: '
    if not isinstance(folder, str) or not folder:
        return  # reported with the keys
    path = PurePosixPath(osp.normpath(folder.replace('\\', '/').strip()))
    first = path.parts[0] if path.parts else '.'
    if path.is_absolute() or first in ('..', '~') or ':' in first:
        yield (
            f'{where}wanted a folder inside the work_dir, such as '
            f"'viz'; got {folder!r}"
        )
    elif (
        first.startswith('.')
        or first.lower() in OWN_FOLDERS
        or first.lower().startswith('round_')
        or '\0' in folder
        or any(len(part) > 200 for part in path.parts)
    ):
        yield (
            f"{where}wanted a folder of its own, such as 'viz', "
            f'in which SegAL keeps nothing else; got {short(folder)}'
        )
