"""Train a config's own backbone on its own pool, without a label.

Usage: segal pretrain-ssl CONFIG --algorithm simsiam

The tool reads model.backbone and data.query of CONFIG. To use the weights:

    runner = dict(pretrained='self-supervised', checkpoint='FILE.pth')

and, to choose images by their content,

    active_learning = dict(features=dict(
        type='MMSelfSup', config='FILE.py', checkpoint='FILE.pth'))

The same command continues a training that was killed.
"""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from segal.arguments import KeyValues, at_least, make_parser, with_exit_codes

_LOGGER = logging.getLogger('segal.pretrain')


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(
        __doc__,
        'pretrain-ssl my_config.py --algorithm simsiam --epochs 100',
    )
    parser.add_argument('config')
    parser.add_argument(
        '--algorithm', choices=('simsiam', 'byol'), default='simsiam'
    )
    parser.add_argument(
        '--out',
        type=Path,
        metavar='FILE.pth',
        help='default: work_dirs/pretrain/CONFIG_ALGORITHM.pth',
    )
    parser.add_argument('--epochs', type=at_least(1), default=100)
    parser.add_argument(
        '--batch-size',
        type=at_least(2),
        default=32,
        help='images an iteration, each seen twice',
    )
    parser.add_argument(
        '--lr', type=_rate, help='default: 0.05 * batch size / 256'
    )
    parser.add_argument(
        '--size',
        type=at_least(16),
        help='edge of a view in pixels; default: the shorter side of the '
        'smallest image, 224 at most',
    )
    parser.add_argument('--seed', type=at_least(0), default=0)
    parser.add_argument('--workers', type=at_least(0), default=2)
    parser.add_argument('--cfg-options', nargs='+', action=KeyValues)
    return parser.parse_args(arguments)


def _rate(text: str) -> float:
    """Read a learning rate above 0."""
    rate = float(text)
    if not rate > 0:
        raise argparse.ArgumentTypeError(
            f'wanted a number above 0, got {text}'
        )
    return rate


def run(args: argparse.Namespace) -> None:
    """Train, and print the files."""
    from segal.config import load_config
    from segal.pretraining.pretrain import Request, pretrain

    request = Request(
        args.algorithm,
        args.epochs,
        args.batch_size,
        args.lr,
        args.size,
        args.seed,
        args.workers,
    )
    name = f'{Path(args.config).stem}_{args.algorithm}.pth'
    out = args.out or Path('work_dirs') / 'pretrain' / name
    cfg = load_config(args.config, args.cfg_options)
    pretrain(cfg, request, out, _LOGGER)
    print(
        f'weights  {out}\n'
        f'config   {out.with_suffix(".py")}  (of MMSelfSup)\n'
        f'epochs   {out.with_suffix(".json")}'
    )


@with_exit_codes
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool, and return the exit code."""
    args = parse(arguments)
    from segal import compat
    from segal.distributed.stopping import StoppedError, listening

    compat.apply()
    warnings.filterwarnings('ignore', message='The dataset part will be ref')
    _LOGGER.setLevel(logging.INFO)
    _LOGGER.addHandler(logging.StreamHandler())
    _LOGGER.propagate = False  # mmcv silences the root's handlers
    # mmcv would log a line for each weight that is initialised
    logging.getLogger('mmcv').addFilter(lambda x: x.levelno > logging.INFO)
    try:
        with listening():
            run(args)
    except StoppedError as error:
        sys.stderr.write(
            '\nstopped; the same command goes on after the last whole epoch\n'
        )
        return error.exit_code
    return 0
