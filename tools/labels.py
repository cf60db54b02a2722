"""Check, show, export, import and repair the bought labels of a work_dir.

    python tools/labels.py check WORK_DIR
    python tools/labels.py show WORK_DIR [--image NAME] [--json]
    python tools/labels.py export WORK_DIR OUT [--only jsonl|maps]
    python tools/labels.py import FILE_OR_FOLDER WORK_DIR
    python tools/labels.py repair WORK_DIR [--from EXPORT] [--dry-run]

Only import and repair write into a work_dir. Exit codes: 0 all is well, 3 an
export that cannot be read, 4 labels that are hurt or do not belong.
"""

from __future__ import annotations

import argparse
import logging
import sys
from contextlib import nullcontext
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from segal.active.label_store.export import PARTS, export
from segal.active.label_store.folder import LabelFolder
from segal.active.label_store.import_ import import_labels, read_export
from segal.active.label_store.pool_file import open_store, read_pool
from segal.active.label_store.repair import describe_repair, repair
from segal.active.label_store.show import as_json, describe_summary, summary
from segal.active.label_store.survey import describe_survey, survey
from segal.errors import SegALError, StateError


def check(args: argparse.Namespace) -> int:
    """Print every file and every problem."""
    pool = read_pool(args.work_dir)
    found = survey(LabelFolder(args.work_dir / 'labels'), pool.images)
    print(describe_survey(found))
    return StateError.exit_code if found.problems else 0


def show(args: argparse.Namespace) -> int:
    """Print what was bought."""
    pool = read_pool(args.work_dir)
    store = open_store(args.work_dir, pool)
    told = summary(store, pool.classes, args.image)
    print(as_json(told) if args.json else describe_summary(told))
    return 0


def export_labels(args: argparse.Namespace) -> int:
    """Write an export."""
    pool = read_pool(args.work_dir)
    store = open_store(args.work_dir, pool)
    parts = [args.only] if args.only else PARTS
    done = export(store, pool.classes, args.out, parts)
    print(
        f'{args.out}: exported {done.files} label files: '
        f'{done.requests:,} requests, {done.label_maps:,} label maps'
    )
    return 0


def import_into(args: argparse.Namespace) -> int:
    """Write the label files of an export."""
    pool = read_pool(args.work_dir)
    source = read_export(args.source)
    with _alone(args.work_dir):
        known, added = import_labels(source, args.work_dir, pool)
    if added:
        there = f', after the {known} that were there' if known else ''
        print(f'{args.work_dir}: {added} label files imported{there}')
    else:
        print(
            f'{args.work_dir}: has these {known} label files already; '
            'nothing was changed'
        )
    return 0


def mend(args: argparse.Namespace) -> int:
    """Repair, and say what was done and what is left."""
    pool = read_pool(args.work_dir)
    source = getattr(args, 'from')
    pieces = read_export(source).pieces() if source else None
    with nullcontext() if args.dry_run else _alone(args.work_dir):
        result = repair(
            LabelFolder(args.work_dir / 'labels'),
            pool.images,
            pieces,
            args.dry_run,
        )
    print(describe_repair(result, args.dry_run))
    return StateError.exit_code if result.left else 0


def _alone(work_dir: Path):  # noqa: ANN202
    """The lock of a work_dir, which a run holds as well."""
    from segal.runner.lock import locked  # slow, and only wanted to write

    return locked(work_dir, logging.getLogger('segal.labels'))


def main(arguments: list[str] | None = None) -> int:
    """Read the arguments, do it, and return the exit code."""
    parser = argparse.ArgumentParser(
        description='The bought labels of a work_dir.'
    )
    commands = parser.add_subparsers(required=True, metavar='COMMAND')

    def command(name, function, words):  # noqa: ANN001, ANN202
        one = commands.add_parser(name, help=words, description=words)
        one.set_defaults(function=function)
        one.add_argument(
            '--debug', action='store_true', help='show the traceback'
        )
        return one

    one = command('check', check, 'look at every file, and list all problems')
    one.add_argument('work_dir', type=Path)
    one = command('show', show, 'count what was bought')
    one.add_argument('work_dir', type=Path)
    one.add_argument('--image', help='tell every request of one image too')
    one.add_argument('--json', action='store_true', help='for machines')
    one = command('export', export_labels, 'write labels for other tools')
    one.add_argument('work_dir', type=Path)
    one.add_argument('out', type=Path, help='an empty or new folder')
    one.add_argument(
        '--only', choices=PARTS, help='labels.jsonl, or mmseg label maps'
    )
    one = command('import', import_into, 'bring an export back')
    one.add_argument('source', type=Path, help='labels.jsonl or its folder')
    one.add_argument('work_dir', type=Path)
    one = command('repair', mend, 'mend what SHA-256 proves')
    one.add_argument('work_dir', type=Path)
    one.add_argument(
        '--from', type=Path, metavar='EXPORT', help='take files from it too'
    )
    one.add_argument(
        '--dry-run', action='store_true', help='say it, and change nothing'
    )
    args = parser.parse_args(arguments)
    try:
        return int(args.function(args))
    except SegALError as error:
        if args.debug:
            raise
        print(f'error: {error}', file=sys.stderr)
        return error.exit_code


if __name__ == '__main__':
    sys.exit(main())
