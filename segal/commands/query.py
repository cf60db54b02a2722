"""Choose the pixels, regions or images of a folder to label next.

Usage: segal query CONFIG CHECKPOINT IMAGES_DIR --out DIR
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from segal.arguments import KeyValues, at_least, make_parser, with_exit_codes


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(
        __doc__,
        'query my_config.py final.pth photos/ --out picks',
    )
    parser.add_argument('config', help='of SegAL or of mmseg')
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('images_dir', type=Path, help='subfolders count, too')
    parser.add_argument(
        '--out', type=Path, required=True, help='an empty or new folder'
    )
    parser.add_argument(
        '--heuristic',
        help="a name, or \"dict(type='PowerNoise', of='margin')\"; default: "
        "the config's, else margin",
    )
    parser.add_argument(
        '--committee',
        nargs='+',
        type=Path,
        default=[],
        metavar='CHECKPOINT',
        help='of more networks of the config, for heuristics that ask several',
    )
    parser.add_argument(
        '--features',
        help='what describes images to parts that want it: a name, or '
        '"dict(type=\'MMSelfSup\', config=..., checkpoint=...)"; default: the '
        "config's",
    )
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument(
        '--pixels-per-image', type=int, metavar='N', help='10 by default'
    )
    budget.add_argument(
        '--pixels', type=int, metavar='N', help='N in all, wherever they are'
    )
    budget.add_argument(
        '--regions-per-image', type=int, metavar='N', help='N of each image'
    )
    budget.add_argument(
        '--regions', type=int, metavar='N', help='N in all, wherever they are'
    )
    budget.add_argument(
        '--images', type=int, metavar='N', help='N whole images'
    )
    parser.add_argument(
        '--shape',
        help='of regions: "dict(type=\'Squares\', radius=1)" by default, or '
        '"dict(type=\'Superpixels\', segments=500)"',
    )
    parser.add_argument(
        '--selector',
        help='what spends the budget: a name, or a dict; default: the usual '
        'one of the budget',
    )
    parser.add_argument(
        '--top-percent',
        type=float,
        help='draw from so many per cent of each image; default: exactly the '
        "best pixels, or the config's sample_threshold with its heuristic",
    )
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--batch', type=int, default=1, help='images a forward pass'
    )
    parser.add_argument('--workers', type=int, default=2)
    parser.add_argument(
        '--pictures',
        type=at_least(0),
        default=6,
        help='how many images to draw',
    )
    parser.add_argument('--cfg-options', nargs='+', action=KeyValues)
    return parser.parse_args(arguments)


def run(args: argparse.Namespace) -> None:
    """Query, write the files and print the summary."""
    from segal.config import load_config
    from segal.query_folder.files import describe, write
    from segal.query_folder.folder import check_out
    from segal.query_folder.parts import Request, parse_part
    from segal.query_folder.query import query_folder
    from segal.structures import Budget

    check_out(args.out, args.images_dir)
    unit, budget = 'pixel', Budget(10, True)
    for unit_of in ('pixel', 'region', 'image'):
        for per_image in (False, True):
            name = f'{unit_of}s' + '_per_image' * per_image
            amount = getattr(args, name, None)
            if amount is not None:
                unit, budget = unit_of, Budget(amount, per_image)
    named = {
        role: parse_part(text, f'--{role}')
        for role in ('heuristic', 'selector', 'shape', 'features')
        if (text := getattr(args, role)) is not None
    }
    request = Request(
        budget,
        unit,
        **named,
        committee=tuple(args.committee),
        top_percent=args.top_percent,
        seed=args.seed,
        batch_size=args.batch,
        workers=args.workers,
    )
    cfg = load_config(args.config, args.cfg_options)
    query = query_folder(cfg, args.checkpoint, args.images_dir, request)
    for note in query.notes:
        sys.stderr.write(f'note: {note}\n')
    summary = write(query, args.out, args.pictures, args.config)
    print(describe(summary, args.out))


@with_exit_codes
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool, and return the exit code."""
    args = parse(arguments)
    from segal.query_folder.folder import run_command

    return run_command(run, args, 'nothing is written')
