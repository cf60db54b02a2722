"""Report on many runs of one pool in one page.

    segal report WORK_DIR ... [--full WORK_DIR ...] [--out DIR]
        [--axis asked|pixels|percent|cost] [--costs UNIT:NAME=PRICE,...]

Writes report.html, which needs no other file, and its charts (PNG) and tables
(CSV) beside it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from segal.arguments import add_full, make_parser, with_exit_codes
from segal.errors import ConfigError
from segal.report import AXES


@with_exit_codes
def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments, write, print, and return the exit code."""
    parser = make_parser(
        __doc__,
        'report work_dirs/sweep/* --out work_dirs/report',
    )
    parser.add_argument(
        'work_dirs', nargs='+', type=Path, help='heuristics x seeds'
    )
    add_full(parser)
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('work_dirs', 'report'),
        help='folder of the page (default: work_dirs/report)',
    )
    parser.add_argument(
        '--images', type=int, default=3, help='pictures of each heuristic'
    )
    parser.add_argument(
        '--axis',
        choices=AXES,
        help='what areas and tests are over: the budget, labelled pixels per '
        'image or in per cent, or what the labels cost; over cost, runs of '
        'any unit and budget can be compared (default: cost where budgets '
        'are in cost, else asked)',
    )
    parser.add_argument(
        '--costs',
        metavar='UNIT:NAME=PRICE,...',
        help='prices in place of those of the configs, such as '
        'minutes:pixel=0.05,image=90,open=0.2',
    )
    args = parser.parse_args(arguments)

    from segal.config.costs import parse_costs
    from segal.report.absent import absences
    from segal.report.evidence import read_evidence
    from segal.report.page import terminal_table, verdicts, write_report

    try:
        runs = [one for one in args.work_dirs if not _is_no_run(one)]
        costs = None if args.costs is None else parse_costs(args.costs)
        evidence = read_evidence(
            runs or args.work_dirs, args.full, args.axis, costs
        )
        written = write_report(evidence, args.out, args.images)
    except ConfigError as error:
        print('Error: ' + '\nError: '.join(error.problems), file=sys.stderr)
        return error.exit_code
    print(terminal_table(written.findings.summary))
    print()
    for sentence in verdicts(evidence, written.findings):
        print(sentence)
    for sentence in absences(evidence):
        print(sentence)
    for name in evidence.waiting:
        print(f'Left out: {name}, no finished round yet.')
    for run in evidence.unfinished:
        print(f'Unfinished: {run.name}, {run.progress} rounds.')
    for key, values in evidence.differing.items():
        print(f'Not the same for all runs: {key} ({", ".join(values)}).')
    print(f'\npage    {written.paths[0]}\nbeside  {len(written.paths) - 1} '
          'charts and tables')  # fmt: skip
    return 0


def _is_no_run(path: Path) -> bool:
    """Return whether a path is a file or a report, which ``*`` finds too."""
    return path.is_file() or (
        (path / 'report.html').is_file() and not (path / 'pool.json').exists()
    )
