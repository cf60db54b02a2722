"""Draw the learning curves of one or more results.json.

    segal plot-results experiments/<name>/results.json ... --out PNG
        [--title "..."] [--rename "Margin=margin, top 5 %"]
        [--against "Margin (<name>)"]

The curves are the mean over seeds of the last epoch's mIoU, over labelled
pixels per image, with single seeds; from five seeds on, with a band of one
sample standard deviation. Full supervision is a horizontal line. The title
names the experiment; with several, each heuristic does. ``--rename`` puts
words for readers in place of a heuristic's name. ``--against`` prints the
paired differences from one heuristic.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from segal.arguments import make_parser, with_exit_codes
from segal.errors import StateError

if TYPE_CHECKING:
    from segal.report.evidence import Evidence
    from segal.report.run import Run


@with_exit_codes
def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments, draw, and return the exit code."""
    parser = make_parser(
        __doc__,
        'plot-results results.json --out curves.png',
    )
    parser.add_argument('results', type=Path, nargs='+')
    parser.add_argument('--out', type=Path, required=True, metavar='PNG')
    parser.add_argument(
        '--against',
        metavar='HEURISTIC',
        help='before it is renamed; prints differences from it, paired by '
        'seed',
    )
    parser.add_argument('--title', help='in place of the experiment')
    parser.add_argument(
        '--rename',
        nargs='+',
        default=(),
        metavar='NAME=WORDS',
        help='words for a heuristic',
    )
    args = parser.parse_args(arguments)
    evidence, name = read(args.results)
    title = name if args.title is None else args.title
    draw(renamed(evidence, args.rename), title, args.out)
    if args.against is not None:
        print('\n'.join(differences(evidence, args.against)))
    return 0


def read(paths: Sequence[Path]) -> tuple[Evidence, str]:
    """Read the runs of several files, and the title of the picture.

    Raises:
        StateError: A file is no ``results.json``, or several tell of other
            fully supervised runs.
    """
    from segal.report.evidence import Evidence
    from segal.report.results import evidence_of

    runs, names = [], []
    full: dict[Path, list[Run]] = {}
    for path in paths:
        try:
            results = json.loads(path.read_text())
            found, name = evidence_of(results), results['experiment']
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StateError(
                f'{path}: wanted a results.json of segal collect-results, '
                'got a file that cannot be read as that '
                f'({type(error).__name__}: {error}); collect it anew'
            ) from error
        names.append(name)
        if found.full:
            full[path] = found.full
        runs += [
            replace(run, heuristic=f'{run.heuristic} ({name})')
            if len(paths) > 1
            else run
            for run in found.runs
        ]
    first, *others = full.values() or [[]]
    if any(_curves(one) != _curves(first) for one in others):
        raise StateError(
            f'{", ".join(map(str, full))}: wanted one full supervision for '
            f'all files, got {len(full)}, which one line cannot show; collect '
            'all but one of them without --full'
        )
    return Evidence(runs, first), names[0] if len(names) == 1 else ''


def _curves(runs: Sequence[Run]) -> list[list[float | None]]:
    """Return the mIoU of each run and round, in per cent."""
    return [run.curve for run in runs]


def renamed(evidence: Evidence, pairs: Sequence[str]) -> Evidence:
    """Rename heuristics by ``NAME=WORDS``.

    Raises:
        StateError: A heuristic has no runs.
    """
    words = dict(pair.partition('=')[::2] for pair in pairs)
    unknown = [name for name in words if name not in evidence.groups]
    if unknown or not all(words.values()):
        raise StateError(
            f'--rename: wanted NAME=WORDS with one of '
            f'{", ".join(evidence.groups)}; got {", ".join(pairs)}'
        )
    runs = [
        replace(run, heuristic=words.get(run.heuristic, run.heuristic))
        for run in evidence.runs
    ]
    return replace(evidence, runs=runs)


def draw(evidence: Evidence, name: str, out: Path) -> None:
    """Draw the learning curves.

    Raises:
        StateError: The picture cannot be written.
    """
    from segal.files import whole_file
    from segal.report import charts
    from segal.report.axes import PIXELS

    axis = replace(
        PIXELS,
        values=lambda run: [row['labels_per_image'] for row in run.rows],
    )
    figure = charts.curves(evidence, axis)
    figure.axes[0].set_title(name, loc='left', fontsize=10.5)
    with whole_file(out) as file:
        figure.savefig(file, format='png', dpi=200)


def differences(evidence: Evidence, against: str) -> list[str]:
    """Format the differences from one heuristic, by round and in area.

    Raises:
        StateError: The heuristic has no runs, or budgets differ.
    """
    from segal.report.axes import axis_of
    from segal.report.statistics import paired_test
    from segal.report.tables import areas_of

    if against not in evidence.groups:
        raise StateError(
            f'--against: wanted one of {", ".join(evidence.groups)}; got '
            f'{against!r}'
        )
    if not evidence.same_budgets:
        raise StateError(
            '--against: wanted runs that asked as much until each round, got '
            'other budgets; leave --against out'
        )
    axis = axis_of(evidence)
    columns: dict[str, list[Mapping[int, float | None]]] = {}
    for name in evidence.groups:
        done = evidence.finished(name)
        columns[name] = [
            *(
                {
                    run.seed: run.curve[at]
                    for run in done
                    if at < len(run.curve)
                }
                for at in range(len(evidence.budgets))
            ),
            areas_of(done, axis, None),
        ]
    lines = [f'mIoU of each round, and area, minus {against}:']
    for name, own in columns.items():
        if name == against:
            continue
        cells = []
        for ours, theirs in zip(own, columns[against], strict=True):
            test = paired_test(ours, theirs)
            gap = '-' if test.difference is None else f'{test.difference:+.2f}'
            p = '' if test.p is None else f' (p {test.p:.3f})'
            cells.append(f'{gap}{p}')
        lines.append(f'{name}, {test.pairs} seeds: ' + '  '.join(cells))
    return lines
