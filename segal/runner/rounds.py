"""``rounds.json``: one row for each round."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

from segal.errors import StateError

FILE = 'rounds.json'


def read_rounds(work_dir: Path) -> list[dict[str, Any]]:
    """The rows of an experiment, in the order of rounds.

    Args:
        work_dir: The experiment's folder.

    Returns:
        One dict a round; none where no round is finished.

    Raises:
        StateError: The file is there but hurt.
    """
    path = Path(work_dir) / FILE
    if not path.exists():
        return []
    try:
        rows = json.loads(path.read_text())['rounds']
        assert [row['round'] for row in rows] == list(range(len(rows)))
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        raise StateError(
            f'{path}: wanted one row a round, got a file that cannot be read '
            f'as that ({type(error).__name__}: {error}); restore it from a '
            'copy, or move it away: the rounds are then trained anew on the '
            'labels that are there'
        ) from error
    return rows


def write_rounds(work_dir: Path, rows: list[dict[str, Any]]) -> None:
    """Replace the rows, whole or not at all."""
    replace_text(
        Path(work_dir) / FILE,
        json.dumps({'rounds': plain(rows)}, indent=1) + '\n',
    )


def replace_text(path: Path, text: str) -> None:
    """Write a file whole, synced and renamed."""
    temporary = path.with_name(f'.{path.name}.tmp')
    with open(temporary, 'w') as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def plain(value: Any) -> Any:
    """Plain Python for JSON and checkpoints.

    NumPy's numbers are unwrapped; NaN, a class that does not occur, is None.
    """
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, 'tolist'):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int | bool):
        return value
    return str(value)
