"""Run a config several times and compare the results bit by bit.

Each run starts from scratch in new processes. Label files are compared byte by
byte, mIoU by value, and every tensor of each round's final.pth bit by bit.

Usage: segal drift CONFIG [--gpus 1] [--runs 2] [--seed N]
    [--cfg-options key=value ...] [--work-dir DIR] [--keep] [--json FILE]

The exit code is 0 where all runs are identical, 1 where they are not, and
that of a run that fails.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from segal.arguments import make_parser, with_exit_codes
from segal.commands.sweep import run_command
from segal.commands.train import command_of
from segal.errors import StateError

if TYPE_CHECKING:
    from segal.report.compare import Comparison, RoundDrift


@with_exit_codes
def main(arguments: Sequence[str] | None = None) -> int:
    """Run, compare, print, and return the exit code."""
    parser = make_parser(
        __doc__,
        'drift experiments/quickstart/quickstart.py --runs 2',
    )
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--gpus', type=int, default=1, help='or processes, without a GPU'
    )
    parser.add_argument('--runs', type=int, default=2)
    parser.add_argument('--seed', type=int)
    parser.add_argument('--cfg-options', nargs='+', default=[])
    parser.add_argument(
        '--work-dir', type=Path, help='where to run (default: a new folder)'
    )
    parser.add_argument(
        '--keep', action='store_true', help='keep runs that are identical, too'
    )
    parser.add_argument('--json', type=Path, help='the figures as JSON')
    args = parser.parse_args(arguments)
    if args.runs < 2 or args.gpus < 1:
        parser.error('wanted 2 --runs or more, and 1 --gpus or more')
    folder = args.work_dir or Path(tempfile.mkdtemp(prefix='segal_drift_'))
    return measure(args, folder)


def measure(args: argparse.Namespace, folder: Path) -> int:
    """Run and compare.

    Returns:
        The exit code.

    Raises:
        StateError: The folder already holds runs.
    """
    work_dirs = [folder / f'run_{i + 1}' for i in range(args.runs)]
    for work_dir in work_dirs:
        if work_dir.exists():
            raise StateError(
                f'{work_dir}: wanted a new folder for a run from scratch, got '
                'one that is there; name another with --work-dir'
            )
    from segal.report.compare import compare

    for i, work_dir in enumerate(work_dirs):
        print(f'--- run {i + 1} of {args.runs}: {work_dir}', flush=True)
        code = run(args, work_dir)
        if code:
            print(f'--- run {i + 1} ended with exit code {code}')
            return code
    results = [compare(work_dirs[0], other) for other in work_dirs[1:]]
    for i, result in enumerate(results):
        print(f'\n--- run 1 and run {i + 2}')
        print(describe(result))
    identical = all(result.identical for result in results)
    if args.json:
        write_json(args, results, identical)
    if identical and not args.keep:
        for work_dir in work_dirs:
            shutil.rmtree(work_dir)
        if not any(folder.iterdir()):
            folder.rmdir()
    else:
        print(f'the runs lie in {folder}')
    return 0 if identical else 1


def run(args: argparse.Namespace, work_dir: Path) -> int:
    """Run the config from scratch in new processes.

    Returns:
        The exit code; 128 + n where signal n ended the run.
    """
    words = ['--work-dir', str(work_dir), '--deterministic', '--no-resume']
    if args.seed is not None:
        words += ['--seed', str(args.seed)]
    if args.cfg_options:
        words += ['--cfg-options', *args.cfg_options]
    # without this key cuBLAS is free to differ
    given = {'CUBLAS_WORKSPACE_CONFIG': ':4096:8', **os.environ}
    return run_command(*command_of(args.config, str(args.gpus), words, given))


def describe(result: Comparison) -> str:
    """Format a table of rounds, the differences and the verdict."""
    from segal.visualization.table import aligned

    heads = ['round', 'labels', 'mIoU', 'tensors', 'absolute', 'relative']
    lines = aligned([heads, *map(cells, result.rounds)])
    lines += ['', *result.differences()[:20]]
    tensors = sum(one.tensors.compared for one in result.rounds)
    if result.identical:
        lines.append(
            f'identical: the labels, rows and {tensors} tensors of '
            f'{len(result.rounds)} rounds, bit by bit'
        )
    else:
        lines.append(f'NOT identical: {len(result.differences())} differences')
    return '\n'.join(lines)


def cells(one: RoundDrift) -> list[str]:
    """Format a round as a row of the table."""
    drift = one.tensors
    if one.labels and one.picks_differ is not None:
        labels = f'{one.picks_differ} of {one.picks} picks differ'
    else:
        labels = 'missing or hurt' if one.labels else 'identical'
    return [
        str(one.round),
        labels,
        '-' if one.miou is None else f'{100 * one.miou:.3g} %',
        f'{drift.differ} of {drift.compared} differ',
        f'{drift.absolute:.3g}',
        f'{drift.relative:.3g}',
    ]


def write_json(
    args: argparse.Namespace, results: list[Comparison], identical: bool
) -> None:
    """Write all differences; infinite numbers are null."""
    from segal.rounds import plain

    content = dict(
        config=args.config,
        gpus=args.gpus,
        runs=args.runs,
        cfg_options=args.cfg_options,
        identical=identical,
        compared_with_run_1=[
            dict(
                asdict(result),
                identical=result.identical,
                differences=result.differences(),
            )
            for result in results
        ],
    )
    args.json.write_text(json.dumps(plain(content), indent=1) + '\n')
