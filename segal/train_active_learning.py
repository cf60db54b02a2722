"""Entry point: arguments, config, one call.

``bash dist_train.sh CONFIG GPUS [options]`` starts it.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from segal.utils.process import end_with_parent


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    from mmcv import DictAction

    parser = argparse.ArgumentParser(
        prog='segal', description='Rounds of train -> query -> label.'
    )
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--work-dir',
        type=Path,
        help='folder of the experiment (default: work_dirs/<config name>)',
    )
    parser.add_argument('--seed', type=int, help='the seed, 0 by default')
    parser.add_argument(
        '--resume',
        action=argparse.BooleanOptionalAction,
        help='insist on going on, or on beginning; without it, an experiment '
        'that is there goes on',
    )
    parser.add_argument(
        '--dry-run',
        action='store_true',
        help='print rounds, budgets, iterations and disk, and stop',
    )
    parser.add_argument(
        '--deterministic',
        action='store_true',
        help='deterministic algorithms on the GPU',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='keys to change, such as runner.sample_rounds=3',
    )
    parser.add_argument(
        '--launcher',
        default='none',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
    )
    parser.add_argument(
        '--debug', action='store_true', help='show the traceback of errors'
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run an experiment.

    Args:
        arguments: Of the command line, ``sys.argv`` by default.

    Returns:
        The exit code: 0, or that of the error (2 config, 3 data, 4 state).
    """
    end_with_parent()
    from segal import compat
    from segal import distributed as ranks
    from segal.errors import ConfigError, SegALError, last_words
    from segal.launching import init_process_group

    compat.apply()
    warnings.filterwarnings('ignore', message='When align_corners=True')
    args = parse(arguments)
    try:
        init_process_group(args.launcher)
        _run(args)
    except SegALError as error:
        if args.debug:
            raise
        alone = not error.shared and not isinstance(error, ConfigError)
        if ranks.is_main():
            sys.stderr.write(f'\nError: {last_words(error)}\n')
        elif alone:
            sys.stderr.write(
                f'\nError in process {ranks.rank()}: {last_words(error)}\n'
            )
        if alone and ranks.world_size() > 1:
            # The others may wait for us where nobody can tell them.
            sys.stderr.flush()
            os._exit(error.exit_code)
        return error.exit_code
    return 0


def _run(args: argparse.Namespace) -> None:
    import torch

    from segal.config import load_config
    from segal.utils.train import Options, run_experiment

    cfg = load_config(args.config, args.cfg_options)
    if cfg.get('cudnn_benchmark') and not args.deterministic:
        torch.backends.cudnn.benchmark = True
    if args.deterministic:
        torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(True, warn_only=True)
    if args.seed is not None:
        cfg.seed = args.seed
    work_dir = args.work_dir or Path(
        cfg.get('work_dir') or Path('work_dirs', Path(args.config).stem)
    )
    run_experiment(
        cfg,
        Options(
            work_dir=Path(work_dir), resume=args.resume, dry_run=args.dry_run
        ),
    )


if __name__ == '__main__':
    sys.exit(main())
