"""Print and draw what a round bought.

Round 0 is the initial labels; round K is the query with the network of round
K - 1. The default of ``--round`` is the last one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segal.arguments import make_parser, with_exit_codes


@with_exit_codes
def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments, print, and return the exit code."""
    parser = make_parser(__doc__, 'inspect work_dirs/quickstart --round 1')
    parser.add_argument('work_dir', type=Path, help='of an experiment')
    parser.add_argument(
        '--round', type=int, help='0: the initial labels; default: the last'
    )
    parser.add_argument(
        '--images', type=int, default=6, help='how many overlays to draw'
    )
    parser.add_argument('--out', type=Path, help='folder for the pictures')
    args = parser.parse_args(arguments)
    from segal.report.inspect import inspect

    print(inspect(args.work_dir, args.round, args.images, args.out))
    return 0
