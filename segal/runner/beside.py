"""Find runs of random and of full supervision in the folder of a run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from segal.rounds import FILE, is_full, read_settings

Row = dict[str, Any]

_NETWORK = ('model', 'data', 'optimizer', 'lr_config')
_ROUNDS = ('runner', 'workflow', 'optimizer_config', 'fp16')
_FREE = ('heuristic', 'visualize', 'costs', 'settings')
"""Keys of ``active_learning`` in which a run of random may differ."""


def runs_beside(
    work_dir: Path, rows: Sequence[Row]
) -> tuple[list[Row], float | None]:
    """Find runs that share a folder with this one and differ in little.

    Random asked as much, and may differ in heuristic and seed; a run of the
    same seed is preferred. Full supervision has all labels from the start,
    and the same network, data and optimizer.

    Returns:
        The rows of random, and the mIoU of full supervision; none, and None,
        where there is no such run or a file cannot be read.
    """
    own = read_settings(work_dir)
    random: list[Row] = []
    full = None
    known = 'active_learning' in own and rows
    for config, found in _others(work_dir) if known else ():
        if any(config.get(key) != own.get(key) for key in _NETWORK):
            continue
        same_seed = config.get('seed') == own.get('seed')
        if is_full(found):
            if full is None or same_seed:
                full = found[-1].get('mIoU')
        elif (
            _is_random(config)
            and not _is_random(own)
            and _schedule(config) == _schedule(own)
            and all(map(_asked_alike, found, rows))
            and (same_seed or not random)
        ):
            random = found
    return random, full


def _others(work_dir: Path) -> Iterator[tuple[dict[str, Any], list[Row]]]:
    """Read config and rows of the runs beside this one, sorted by name."""
    for folder in sorted(work_dir.resolve().parent.iterdir()):
        if folder != work_dir.resolve() and (folder / FILE).exists():
            config = read_settings(folder)
            try:
                rows = json.loads((folder / FILE).read_text())['rounds']
                known = [
                    (row['total'], row['pool'], row['share']) for row in rows
                ]
            except (OSError, ValueError, KeyError, TypeError):
                continue
            if 'active_learning' in config and known:
                yield config, rows


def _is_random(config: dict[str, Any]) -> bool:
    heuristic = config['active_learning'].get('heuristic')
    if isinstance(heuristic, dict):
        heuristic = heuristic.get('type')
    return str(heuristic).lower() == 'random'


def _asked_alike(one: Row, other: Row) -> bool:
    """Check that two runs asked as much until a round."""
    unit = one.get('unit')
    asked = 'images' if unit == 'image' else 'requested'
    return unit == other.get('unit') and (
        one['total'][asked] == other['total'][asked]
    )


def _schedule(config: dict[str, Any]) -> list[Any]:
    """Return what else random has in common with a run."""
    section = config['active_learning']
    kept = {key: value for key, value in section.items() if key not in _FREE}
    return [kept, *(config.get(key) for key in _ROUNDS)]
