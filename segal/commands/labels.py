"""Check, show and export the bought labels of a work_dir.

    segal labels check WORK_DIR
    segal labels show WORK_DIR [--image NAME] [--json]
    segal labels export WORK_DIR OUT [--only jsonl|maps]

None of these writes into the work_dir. A copy of its folder ``labels`` is a
backup. Exit codes: 0 all is well, 3 unknown image, 4 label files that are
missing, damaged or foreign.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from segal.arguments import make_parser, with_exit_codes
from segal.errors import StateError


def check_files(args: argparse.Namespace) -> int:
    """Print every problem, and a verdict."""
    from segal.active.label_store.file import mend
    from segal.active.label_store.pool_file import read_pool
    from segal.active.label_store.reading import check

    folder = args.work_dir / 'labels'
    sound, problems = check(folder, read_pool(args.work_dir).images)
    for problem in problems:
        print(f'  - {problem.removesuffix("; " + mend(folder))}')
    files = f'{sound} sound label file{"" if sound == 1 else "s"}'
    if problems:
        count = f'{len(problems)} problem{"s" if len(problems) > 1 else ""}'
        print(
            f'{folder}: {count}, {files}; nothing was changed; restore the '
            'folder from a copy, or start in another work_dir'
        )
        return StateError.exit_code
    print(f'{folder}: {files}' if sound else f'{folder}: no label files')
    return 0


def show(args: argparse.Namespace) -> int:
    """Print a summary of the bought labels."""
    from segal.active.label_store.pool_file import open_store, read_pool
    from segal.active.label_store.show import describe_summary, summary

    pool = read_pool(args.work_dir)
    store = open_store(args.work_dir, pool)
    told = summary(store, pool.classes, args.image)
    if args.json:
        print(json.dumps(told, indent=1, ensure_ascii=False))
    else:
        print(describe_summary(told))
    return 0


def export_labels(args: argparse.Namespace) -> int:
    """Write an export."""
    from segal.active.label_store.export import PARTS, export
    from segal.active.label_store.pool_file import open_store, read_pool

    pool = read_pool(args.work_dir)
    store = open_store(args.work_dir, pool)
    parts = [args.only] if args.only else PARTS
    done = export(store, pool.classes, args.out, parts)
    print(
        f'{args.out}: exported {done.files} label files: '
        f'{done.requests:,} requests, {done.label_maps:,} label maps'
    )
    return 0


@with_exit_codes
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command of the arguments, and return the exit code."""
    parser = make_parser(
        __doc__,
        'labels check work_dirs/quickstart\n'
        'labels export work_dirs/quickstart exported',
    )
    commands = parser.add_subparsers(required=True, metavar='COMMAND')

    def command(
        name: str, function: Callable[[argparse.Namespace], int], words: str
    ) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=words, description=words)
        one.set_defaults(function=function)
        one.add_argument(
            '--debug', action='store_true', help='show the traceback'
        )
        return one

    one = command(
        'check', check_files, 'name every missing, damaged or foreign file'
    )
    one.add_argument('work_dir', type=Path)
    one = command('show', show, 'count the bought labels')
    one.add_argument('work_dir', type=Path)
    one.add_argument('--image', help='also list the requests of one image')
    one.add_argument('--json', action='store_true', help='print JSON')
    one = command('export', export_labels, 'write labels for other tools')
    one.add_argument('work_dir', type=Path)
    one.add_argument('out', type=Path, help='an empty or new folder')
    one.add_argument(
        '--only',
        choices=('jsonl', 'maps'),
        help='labels.jsonl, or mmseg label maps',
    )
    args = parser.parse_args(arguments)
    return int(args.function(args))
