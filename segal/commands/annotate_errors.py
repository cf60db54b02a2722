"""List the answers of people that the network contradicts."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from segal.active.label_store.pool_file import PoolFile, read_pool
from segal.annotation.folder import AnnotationFolder
from segal.annotation.label_errors import Suspect, suspects_of
from segal.errors import StateError
from segal.visualization.table import aligned

HEADS = (
    'rank', 'round', 'item', 'row', 'column', 'answer', '', 'model', '',
    'image',
)  # fmt: skip


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        '--round', type=int, help='only this one (default: all)'
    )
    parser.add_argument(
        '--most',
        type=int,
        default=50,
        help='rows and pictures at most (default: %(default)s)',
    )
    parser.add_argument(
        '--json', action='store_true', help='print all of them as JSON'
    )
    parser.add_argument(
        '--sheet',
        type=Path,
        metavar='OUT.html|OUT.png',
        help='write a sheet of their crops',
    )


def run(args: argparse.Namespace) -> int:
    """Print the answers that may be wrong, the most suspicious first."""
    pool = read_pool(args.work_dir)
    folder = AnnotationFolder(args.work_dir)
    found = find(folder, args.round, pool)
    words = _words(len(found), args)
    shown = found[: args.most]
    if args.sheet:
        from segal.annotation.errors_sheet import write_sheet

        title = f'Answers that may be wrong: {args.work_dir.resolve().name}'
        write_sheet(args.sheet, folder, pool, shown, title, words)
    if args.json:
        rows = [_row(rank, one, pool) for rank, one in enumerate(found, 1)]
        print(json.dumps(rows, indent=1))
        return 0
    print(words)
    if shown:
        cells = [_cells(rank, one, pool) for rank, one in enumerate(shown, 1)]
        print('\n'.join(aligned([HEADS, *cells])))
    if args.sheet:
        print(f'{args.sheet}: {len(shown):,} crops')
    return 0


def find(
    folder: AnnotationFolder, round: int | None, pool: PoolFile
) -> list[Suspect]:
    """List the suspects of one round or of all, most suspicious first.

    Raises:
        StateError: No such round has predictions.
    """
    rounds = folder.rounds() if round is None else [round]
    known = [one for one in rounds if one in folder.rounds()]
    lists = [suspects_of(folder, one, len(pool.classes)) for one in known]
    if all(one is None for one in lists):
        which = '' if round is None else f' of round {round}'
        raise StateError(
            f'{folder.path}: wanted predictions{which} to hold answers to, '
            'got none; a network makes them when it asks, so not in the '
            'first round, nor where maps of classes are painted'
        )
    found = [one for part in lists for one in part or []]
    return sorted(found, key=lambda one: -one.suspicion)


def _words(count: int, args: argparse.Namespace) -> str:
    where = '' if args.round is None else f', round {args.round}'
    if not count:
        return f'{args.work_dir}{where}: the model contradicts no answer'
    more = f'; the first {args.most:,} of them' if count > args.most else ''
    return (
        f'{args.work_dir}{where}: the model that asked contradicts {count:,} '
        f'answer{"s" * (count != 1)} with confidence{more}'
    )


def _row(rank: int, one: Suspect, pool: PoolFile) -> dict[str, Any]:
    names = dict(
        answer=pool.classes[one.answer], model=pool.classes[one.model]
    )
    return dict(rank=rank, **{**one._asdict(), **names})


def _cells(rank: int, one: Suspect, pool: PoolFile) -> list[str]:
    return [
        str(rank),
        *map(str, (one.round, one.item, one.row, one.column)),
        pool.classes[one.answer],
        f'{one.answer_prob:.2f}',
        pool.classes[one.model],
        f'{one.model_prob:.2f}',
        one.image,
    ]
