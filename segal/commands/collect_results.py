"""Gather the runs of an experiment into its results.json.

    segal collect-results WORK_DIR ... [--full WORK_DIR ...]
        --out experiments/<name>/results.json

The runs have one pool and budget: heuristics x seeds, and full supervision.
Each round has mean and sample standard deviation over seeds of the last and
the best epoch, and the paired difference from random. Each run has its commit
and machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from segal.arguments import add_full, make_parser, with_exit_codes
from segal.errors import StateError
from segal.files import replace_json
from segal.report import AXES


@with_exit_codes
def main(arguments: Sequence[str] | None = None) -> int:
    """Write the file, print a table, and return the exit code."""
    parser = make_parser(
        __doc__,
        'collect-results work_dirs/sweep/* --out results.json',
    )
    parser.add_argument('work_dirs', nargs='+', type=Path)
    add_full(parser)
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument(
        '--axis',
        choices=AXES,
        help='what areas and tests are over, as for segal report',
    )
    args = parser.parse_args(arguments)
    from segal.rounds import plain

    results = collect(args.work_dirs, args.full, args.out, args.axis)
    replace_json(args.out, plain(results))
    print('\n'.join(lines_of(results)))
    return 0


def collect(
    work_dirs: list[Path],
    full: list[Path],
    out: Path,
    axis: str | None = None,
) -> dict[str, Any]:
    """Read and summarise runs; see ``segal/report/results.py``.

    Raises:
        StateError: A folder is no work_dir or has no finished round, or runs
            are not comparable.
    """
    from segal.report.evidence import read_evidence
    from segal.report.results import results_of
    from segal.report.tables import find
    from segal.rounds import read_rounds

    for folder in [*work_dirs, *full]:
        if not read_rounds(folder):
            raise StateError(
                f'{folder}: wanted a work_dir with finished rounds, got none'
            )
    evidence = read_evidence(work_dirs, full, axis)
    return results_of(evidence, find(evidence), out.resolve().parent.name)


def lines_of(results: dict[str, Any]) -> list[str]:
    """Format one line for each heuristic and round."""
    from segal.visualization.table import mean_words

    lines = []
    for group in results['summary']:
        for point in group['rounds']:
            last, best = point['last_epoch'], point['best_epoch']
            gap = point.get('minus_random')
            lines.append(
                f'{group["heuristic"]:20s} '
                f'{point["labels_per_image"]:8g} labels an image  '
                f'{mean_words(last)}'
                + (f'  best epoch {mean_words(best)}' if best else '')
                + (f'  - random {mean_words(gap, sign="+")}' if gap else '')
            )
    return lines
