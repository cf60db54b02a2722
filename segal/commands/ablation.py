"""Compare folders of runs with a base, one row for each folder.

    segal ablation FOLDER [--base base]
        [--out experiments/<name>/results.json]

The runs are FOLDER/<row>/<run>. The runs of a row differ only in their seed.
``segal sweep`` writes such runs. Each row has mean and sample standard
deviation of mIoU after each round, and the config keys that differ from the
base. An unfinished run counts in its finished rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segal.arguments import make_parser, with_exit_codes
from segal.errors import StateError
from segal.files import replace_json

if TYPE_CHECKING:
    from segal.report.run import Run


@with_exit_codes
def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, write the file, and return the exit code."""
    parser = make_parser(
        __doc__,
        'ablation work_dirs/ablation --base base',
    )
    parser.add_argument('folder', type=Path)
    parser.add_argument(
        '--base', default='base', help='row that the others are changes of'
    )
    parser.add_argument('--out', type=Path, help='a results.json')
    args = parser.parse_args(arguments)
    results = ablation(args.folder, args.base)
    if args.out:
        from segal.rounds import plain

        replace_json(args.out, plain(results))
    print('\n'.join(table(results)))
    return 0


def ablation(folder: Path, base: str) -> dict[str, Any]:
    """Summarise every row of an ablation, the base first.

    Returns:
        For JSON; mIoU and IoU in per cent.

    Raises:
        StateError: The base has no finished round, a run is damaged, or the
            runs of a row differ in more than their seed.
    """
    from segal.report.run import read_run
    from segal.rounds import read_rounds

    rows: dict[str, list[Run]] = {}
    waiting = []
    for path in sorted(folder.glob('*/*/pool.json')):
        run = path.parent
        if read_rounds(run):
            name = run.parent.name
            rows.setdefault(name, []).append(read_run(run))
        else:
            waiting.append(f'{run.parent.name}/{run.name}')
    if base not in rows:
        raise StateError(
            f'{folder}: wanted a row {base!r} with a finished round, got '
            f'{", ".join(rows) or "none"}; name the base with --base'
        )
    for name, runs in rows.items():
        _check_row(folder / name, runs)
    names = [base, *(name for name in rows if name != base)]
    first = rows[base][0]
    return dict(
        base=base,
        pool_images=len(first.pool.images),
        evaluated_on=first.config.get('data', {})
        .get('val', {})
        .get('img_dir'),
        config=first.config,
        rows=[_row(name, rows[name], first) for name in names],
        without_a_round=waiting,
    )


def _check_row(row: Path, runs: list[Run]) -> None:
    """Check that the runs of a row differ only in their seed."""
    from segal.report.comparability import differing

    unlike = differing(runs)
    heuristics = sorted({run.heuristic for run in runs})
    if len(heuristics) > 1:
        unlike = {
            'active_learning.heuristic': {name: [] for name in heuristics}
        }
    if unlike:
        told = '; '.join(
            f'{key}: {", ".join(values)}' for key, values in unlike.items()
        )
        raise StateError(
            f'{row}: wanted runs that differ in their seed alone, got {told}; '
            'give each of these a folder of its own'
        )


def _row(name: str, runs: list[Run], base: Run) -> dict[str, Any]:
    """Summarise one row."""
    from segal.config.fingerprint import settings_of
    from segal.report.statistics import mean_and_spread

    was, now = settings_of(base.config), settings_of(runs[0].config)
    changes = {
        key: now.get(key, 'absent')
        for key in sorted({*was, *now})
        if key != 'seed' and was.get(key) != now.get(key)
    }
    longest = max(len(run.rows) for run in runs)
    rounds = []
    for number in range(longest):
        there = [run for run in runs if number < len(run.rows)]
        curve = [run.curve[number] for run in there]
        labels, _ = mean_and_spread([run.per_image[number] for run in there])
        classes = zip(*(run.iou(number) for run in there), strict=True)
        rounds.append(
            dict(
                labels_per_image=labels,
                mIoU=_mean(curve) | dict(seeds=curve),
                IoU={
                    label: _mean(values)['mean']
                    for label, values in zip(
                        base.pool.classes, classes, strict=True
                    )
                },
            )
        )
    return dict(
        row=name,
        heuristic=runs[0].heuristic,
        seeds=[run.seed for run in runs],
        finished=[run.finished for run in runs],
        commits=sorted(
            {run.machine.get('commit') or '' for run in runs} - {''}
        ),
        changes=changes,
        rounds=rounds,
    )


def _mean(values: Sequence[float | None]) -> dict[str, float | None]:
    """Compute mean and spread of the known values."""
    from segal.report.statistics import mean_and_spread

    mean, std = mean_and_spread(values)
    return dict(mean=mean, std=std)


def table(results: dict[str, Any]) -> list[str]:
    """Format a Markdown table with a column for each round."""
    from segal.visualization.table import mean_words

    most = max(results['rows'], key=lambda row: len(row['rounds']))
    heads = [f'{point["labels_per_image"]:g}' for point in most['rounds']]
    lines = [
        f'| labels an image | {" | ".join(heads)} |',
        '|---' * (len(heads) + 1) + '|',
    ]
    for row in results['rows']:
        cells = [
            mean_words(point['mIoU'], 1)
            + (f' (at {own})' if own != head else '')
            for head, point in zip(heads, row['rounds'], strict=False)
            for own in [f'{point["labels_per_image"]:g}']
        ]
        cells += ['-'] * (len(heads) - len(cells))
        runs = len(row['seeds'])
        name = f'{row["row"]} ({runs} seed{"s" if runs > 1 else ""})'
        lines.append(f'| {name} | {" | ".join(cells)} |')
    if results['without_a_round']:
        lines.append(
            f'\nno round yet: {", ".join(results["without_a_round"])}'
        )
    return lines
