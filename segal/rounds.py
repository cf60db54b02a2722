"""Read and write ``rounds.json`` (a row a round) and ``times.json``.

A row is written once, when its phase is trained and evaluated, and holds
nothing that another run of the same experiment would not have. Its seconds
lie beside it, because no two runs share them. Its ``cost`` alone is made anew
where a run goes on with other prices.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from segal.errors import StateError
from segal.files import replace_json

FILE = 'rounds.json'
TIMES = 'times.json'
_READ = ('round', 'iterations', 'labelled', 'void', 'total', 'pool', 'share')
"""Keys of a row that are read, beside its metrics."""


def read_rounds(work_dir: Path) -> list[dict[str, Any]]:
    """Read the rows of an experiment, in the order of rounds.

    Returns:
        One dict a round; none where no round is finished. ``seconds`` is
        what ``times.json`` knows of the round: ``train``, ``evaluation``,
        ``query``, and ``report`` once the round was drawn and logged.

    Raises:
        StateError: The file is there but hurt.
    """
    path = Path(work_dir) / FILE
    if not path.exists():
        return []
    try:
        rows = json.loads(path.read_text())['rounds']
        _check_rows(rows)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StateError(
            f'{path}: wanted one row a round, got a file that cannot be read '
            f'as that ({type(error).__name__}: {error}); restore it from a '
            'copy, or move it away: the rounds are then trained anew on the '
            'labels that are there'
        ) from error
    for row, seconds in zip(rows, _read_times(work_dir, rows), strict=True):
        row['seconds'] = seconds
    return rows


def read_settings(work_dir: Path) -> dict[str, Any]:
    """Read ``config.json``; empty where it is missing or damaged."""
    return read_object(work_dir / 'config.json')


def pictures_dir(settings: Mapping[str, Any]) -> str:
    """Return the folder of pictures in the work_dir of a config."""
    pictures = (settings.get('active_learning') or {}).get('visualize')
    known = pictures if isinstance(pictures, Mapping) else {}
    return str(known.get('dir', 'viz'))


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object; empty where it is missing or damaged."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def is_full(rows: Sequence[dict[str, Any]]) -> bool:
    """Tell whether the initial labels were the whole pool."""
    first = rows[0]
    if first.get('unit') == 'image':
        return bool(first['total']['images'] >= first['pool']['images'])
    return bool(first['total']['requested'] >= first['pool']['pixels'])


def _check_rows(rows: Any) -> None:
    """Check that rows are those of rounds 0, 1, ..., with the needed keys."""
    if not isinstance(rows, list):
        raise TypeError(f'rounds: wanted a list, got {type(rows).__name__}')
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise TypeError(
                f'row {number}: wanted a dict, got {type(row).__name__}'
            )
        lacks = [key for key in _READ if key not in row]
        if lacks:
            raise ValueError(f'row {number} has no {", ".join(lacks)}')
        if row['round'] != number:
            raise ValueError(f'row {number} is that of round {row["round"]!r}')
        if not isinstance(row['iterations'], int):
            raise TypeError(
                f'row {number}: wanted a number of iterations, got '
                f'{row["iterations"]!r}'
            )


def _read_times(
    work_dir: Path, rows: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Read the seconds of each row; lost or damaged times are unknown."""
    try:
        known = json.loads((Path(work_dir) / TIMES).read_text())['rounds']
        known = [dict(seconds) for seconds in known]
    except (OSError, ValueError, KeyError, TypeError):
        known = [row.get('seconds') or {} for row in rows]
    missing: list[dict[str, Any]] = [{} for _ in rows[len(known) :]]
    return (known + missing)[: len(rows)]


def write_rounds(work_dir: Path, rows: list[dict[str, Any]]) -> None:
    """Replace the rows, whole or not at all, after writing their times.

    Raises:
        StateError: They cannot be written.
    """
    write_times(work_dir, rows)
    kept = [
        {key: value for key, value in row.items() if key != 'seconds'}
        for row in rows
    ]
    replace_json(Path(work_dir) / FILE, {'rounds': plain(kept)})


def write_times(work_dir: Path, rows: list[dict[str, Any]]) -> None:
    """Replace the times alone.

    Raises:
        StateError: They cannot be written.
    """
    seconds = [row.get('seconds') or {} for row in rows]
    replace_json(Path(work_dir) / TIMES, {'rounds': plain(seconds)})


def plain(value: Any) -> Any:
    """Convert values to plain Python for JSON and checkpoints.

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


def absent_classes(
    metrics: Mapping[str, Any],
    classes: Sequence[str],
    unlabelled: Sequence[int],
) -> dict[str, list[str]]:
    """List the missing classes for a row of ``rounds.json``.

    mmseg's mean is over the classes that occur in ``data.val`` or in the
    predictions; another one is NaN, and leaves the mean without a word. The
    number stays mmseg's.

    Args:
        metrics: Of an evaluation, as mmseg names them; NaN, or None where it
            was read from a checkpoint, is what has no value.
        classes: Names of the C classes.
        unlabelled: Ids of those without a bought label.

    Returns:
        Of these only what is not empty: ``mean``: classes that the mean IoU
        leaves out; ``val``: those without a pixel in ``data.val``;
        ``labels``: those without a bought label.
    """

    def without(metric: str) -> list[str]:
        return [
            name
            for name in classes
            for value in [metrics.get(f'{metric}.{name}', 0.0)]
            if value is None or math.isnan(value)
        ]

    mean = without('IoU')
    accuracy = set(without('Acc'))  # NaN where the truth has no pixel
    found = {
        'mean': mean,
        'val': [name for name in classes if name in {*mean, *accuracy}],
        'labels': [classes[number] for number in unlabelled],
    }
    return {key: names for key, names in found.items() if names}
