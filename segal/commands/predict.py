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
from typing import TYPE_CHECKING

from segal.arguments import at_least, make_parser, with_exit_codes

if TYPE_CHECKING:
    from mmcv import Config

    from segal.active.dataset.pool import Pool


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
            check_unchanged(cfg, config, work_dir)
    checkpoint = args.checkpoint or last_network(work_dir)
    check_out(args.out, args.images_dir)
    trained, pool, notes = open_trained(cfg, checkpoint, args.images_dir)
    for note in [*notes, *other_kinds(pool, work_dir)]:
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


def check_unchanged(cfg: Config, config: Path, work_dir: Path) -> None:
    """Check that a config shows images as the run's network learned them.

    Args:
        cfg: As loaded.
        config: Its path, for the error.
        work_dir: Of the run.

    Raises:
        StateError: Its query pipeline was edited since.
    """
    from segal.config.load import load_config
    from segal.errors import StateError, short
    from segal.experiment.trained import differing_step

    begun = work_dir / 'config.py'
    if not begun.is_file():
        return
    steps = differing_step(load_config(str(begun)), cfg)
    if steps is not None:
        raise StateError(
            f'{config}: wanted the query pipeline that {work_dir} was trained '
            f'with, got {short(steps[1])} in place of {short(steps[0])}; take '
            f'the change back, or name {work_dir} in place of the config'
        )


def other_kinds(pool: Pool, work_dir: Path) -> list[str]:
    """Note images of other types, channels or bits than a run learned from.

    Args:
        pool: The images.
        work_dir: Of the run.
    """
    from segal.active.dataset.pool import read_sizes
    from segal.active.images.view import PLAIN, Content

    known = {Content(*row[-3:]) for row in read_sizes(work_dir).values()}
    kinds = [pool.contents.get(image.name, PLAIN) for image in pool]
    learned = ' or '.join(sorted({one.words for one in known}))
    return [
        f'{kinds.count(kind)} images are {kind.words}'
        + ' of files with more bits' * kind.stretched
        + f'; {work_dir} learned from images of {learned}: their values '
        'enter the network on another scale'
        for kind in sorted(set(kinds) - known)
        if known
    ]


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
