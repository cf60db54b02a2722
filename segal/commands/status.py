"""Say how far a run is, and what another round is expected to bring.

    segal status WORK_DIR [--full WORK_DIR ...] [--json]

Reads what lies on disk, and disturbs no run. Full supervision is that of
--full, else of runs in the same folder whose first labels are the whole pool.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from segal.arguments import add_full, make_parser, with_exit_codes


@with_exit_codes
def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments, print, and return the exit code."""
    parser = make_parser(__doc__, 'status work_dirs/quickstart')
    parser.add_argument('work_dir', type=Path)
    add_full(parser)
    parser.add_argument('--json', action='store_true')
    args = parser.parse_args(arguments)
    told, lines = status(args.work_dir, args.full)
    print(json.dumps(told, indent=1) if args.json else '\n'.join(lines))
    return 0


def status(
    work_dir: Path, full: Sequence[Path] = ()
) -> tuple[dict[str, Any], list[str]]:
    """Read a run: numbers for ``--json``, and lines for a person.

    Raises:
        StateError: A folder is no work_dir, or is damaged.
    """
    from segal.active.label_store.pool_file import read_pool
    from segal.report.outlook import CAUTION, outlook_words, read_outlook
    from segal.rounds import read_rounds, read_settings
    from segal.visualization.table import format_rounds

    pool, rows = read_pool(work_dir), read_rounds(work_dir)
    planned = _planned(read_settings(work_dir))
    of = '' if planned is None else f' of {planned}'
    told: dict[str, Any] = dict(rounds=len(rows), planned=planned)
    lines = [f'{work_dir}: {len(rows)}{of} rounds are trained']
    asked = _asked_now(work_dir)
    if asked is not None:
        told['asked_now'] = asked[0]
        lines.append(asked[1])
    outlook = read_outlook(work_dir, full, next_requests(work_dir, len(rows)))
    if outlook is None:
        return told, lines
    told |= outlook.as_json()
    lines += ['', format_rounds(rows, len(pool.images)), '']
    lines.append(outlook_words(outlook))
    if outlook.gain is not None:
        lines.append(CAUTION)
    return told, lines


def next_requests(work_dir: Path, rounds: int) -> int | None:
    """Count what people are asked for the next round, where they are."""
    from segal.annotation.folder import AnnotationFolder

    folder = AnnotationFolder(work_dir)
    if rounds not in folder.rounds():
        return None
    return len(folder.request(rounds))


def _asked_now(work_dir: Path) -> tuple[dict[str, int], str] | None:
    """Count what people have answered of the round that is asked."""
    from segal.annotation.asked import asked_now

    asked = asked_now(work_dir)
    if asked is None:
        return None
    number = asked.request.round
    told = dict(
        round=number, items=len(asked.request), answered=asked.state.answered
    )
    return told, f'round {number} is asked: {asked.words}'


def _planned(config: dict[str, Any]) -> int | None:
    """Read how many rounds the config wants, where it says so plainly."""
    rounds = (config.get('runner') or {}).get('sample_rounds')
    return rounds if isinstance(rounds, int) else None
