"""Predict masks for a folder of images.

    segal predict RUN IMAGES_DIR --out DIR

RUN is the config or the work_dir of an experiment; the network of its last
round predicts. Masks are PNGs of class ids, in the colours of the classes.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from segal.arguments import at_least, make_parser, with_exit_codes


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(
        __doc__, 'predict my_experiment/config.py photos/ --out predicted'
    )
    parser.add_argument('run', type=Path, help='a config, or a work_dir')
    parser.add_argument('images_dir', type=Path, help='subfolders count, too')
    parser.add_argument(
        '--out', type=Path, required=True, help='an empty or new folder'
    )
    parser.add_argument(
        '--checkpoint', type=Path, help="default: the last round's final.pth"
    )
    parser.add_argument(
        '--pictures',
        type=at_least(0),
        default=6,
        metavar='N',
        help='draw the N images that the network is least sure of (6)',
    )
    parser.add_argument(
        '--batch', type=at_least(1), default=1, help='images a forward pass'
    )
    parser.add_argument('--workers', type=at_least(0), default=2)
    return parser.parse_args(arguments)


def run(args: argparse.Namespace) -> None:
    """Predict, write the files, and print the summary."""
    from segal.config.load import load_config, work_dir_of
    from segal.query_folder import predict
    from segal.query_folder.folder import check_out, open_trained

    work_dir, config = args.run, args.run / 'config.py'
    if not args.run.is_dir():
        config = args.run
    cfg = load_config(str(config))
    if not args.run.is_dir():
        work_dir = work_dir_of(cfg, config)
        if not args.checkpoint:
            predict.check_unchanged(cfg, config, work_dir)
    checkpoint = args.checkpoint or last_network(work_dir)
    check_out(args.out, args.images_dir)
    trained, pool, notes = open_trained(cfg, checkpoint, args.images_dir)
    for note in [*notes, *predict.other_kinds(pool, work_dir)]:
        sys.stderr.write(f'note: {note}\n')
    begin = time.perf_counter()
    found = predict.predict_folder(
        trained, pool, args.out, args.workers, args.batch
    )
    seconds = time.perf_counter() - begin
    predict.write_table(found, trained, args.out)
    predict.draw(found, trained, pool, args.out, args.pictures)
    print('\n'.join(predict.describe(found, trained, seconds)))
    print(f'\nby {checkpoint}; look at')
    for path in sorted(args.out.iterdir()):
        print(f'  {path}')


def last_network(work_dir: Path) -> Path:
    """Find the network of the last round that is trained.

    Raises:
        StateError: No round is trained.
    """
    from segal.errors import StateError
    from segal.models.weights import last_checkpoint
    from segal.rounds import read_rounds

    rows = read_rounds(work_dir)
    if not rows:
        raise StateError(
            f'{work_dir}: wanted a run with a trained round, got none (seen '
            f'from {Path.cwd()}); train it first (segal train), or name '
            'another with --checkpoint'
        )
    return last_checkpoint(work_dir, rows[-1]['round'])


@with_exit_codes
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool, and return the exit code."""
    args = parse(arguments)
    from segal.query_folder.folder import run_command

    return run_command(run, args, 'the masks so far are there')
