"""Give what is asked to other tools, and take their answers."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from segal.annotation.formats import EXPORTS

_SHOWN = 20
"""Things of one kind that are named."""

_NEXT = {
    'cvat': 'In CVAT, make a task with the labels of labels.json ("Raw") and '
    'the pictures of images/, then upload annotations.xml as "CVAT 1.1"',
    'label-studio': 'In Label Studio, make a project with config.xml, serve '
    'the folder above as local files, then import tasks.json',
    'coco': 'Open images/ and annotations.json in a tool that keeps masks as '
    'RLE',
    'png': 'Paint over 254 in labels/*.png: class ids, 255 for void, 253 for '
    "can't tell",
}


def add_verbs(verb: Callable[[str, Any, str], Any]) -> None:
    """Add ``export`` and ``take`` to the parser of ``annotate``."""
    one = verb('export', run_export, 'write what is asked for another tool')
    one.add_argument('out', type=Path, help='folder to make')
    one.add_argument('--to', choices=EXPORTS, required=True)
    one.add_argument(
        '--annotator', default='', metavar='NAME', help='who will answer'
    )
    one = verb('take', run_take, 'take the answers of other tools')
    one.add_argument(
        'files',
        nargs='+',
        type=Path,
        help='CVAT (XML or zip), Label Studio or COCO (JSON), a folder of '
        'PNG files, answers of the offline page (JSON)',
    )
    one.add_argument(
        '--annotator',
        default='',
        metavar='NAME',
        help='who answered, where a file does not say it',
    )
    one.add_argument(
        '--conflicts',
        choices=('refuse', 'keep'),
        default='refuse',
        help='what to do where another answer stands: refuse all, or keep '
        'what stands and take the rest (default: %(default)s)',
    )
    one.add_argument(
        '--dry-run', action='store_true', help='count, and write nothing'
    )


def run_export(args: argparse.Namespace) -> int:
    """Write what is asked for another tool."""
    from segal.annotation.export import export, no_share_words

    asked = export(args.work_dir, args.out, args.to, args.annotator)
    request = asked.request
    print(
        f'{args.out}: {len(asked.items):,} open {request.unit}s of round '
        f'{request.round}. {_NEXT[args.to]}. Give the answers back with '
        f'`segal annotate take {args.work_dir} FILE --annotator NAME`'
    )
    if words := no_share_words(args.work_dir, args.annotator):
        print(words)
    return 0


def run_take(args: argparse.Namespace) -> int:
    """Take the answers of other tools."""
    from segal.annotation.take import take

    found = take(
        args.work_dir,
        args.files,
        args.annotator,
        args.conflicts == 'keep',
        args.dry_run,
    )
    would = 'would be taken' if args.dry_run else 'taken'
    print(
        f'{args.work_dir}, {found.words}: {len(found.answers):,} {would}, '
        f'{found.unchanged:,} unchanged, {len(found.conflicting):,} '
        f'conflicting, {len(found.alien):,} alien, {found.left:,} left open'
    )
    counts = Counter(answer.who for answer in found.answers)
    if {*counts} - {args.annotator}:
        told = ', '.join(f'{name} ({n:,})' for name, n in counts.items())
        print(f'{would} as answers of {told}')
    for title, names in (
        ('conflicting; what stands was kept', found.conflicting),
        ('not asked, and not taken', found.alien),
        ('not finished, and left open', found.unfinished),
    ):
        _list(title, names)
    return 0


def _list(title: str, names: Sequence[str]) -> None:
    if names:
        print(f'{title}:')
    for name in names[:_SHOWN]:
        print(f'  {name}')
    if len(names) > _SHOWN:
        print(f'  and {len(names) - _SHOWN:,} more')
