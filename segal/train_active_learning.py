"""Run an experiment from the command line.

``segal train CONFIG [GPUS] [options]`` starts it.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from segal.arguments import KeyValues
from segal.distributed.process import end_with_parent
from segal.distributed.stopping import listening

if TYPE_CHECKING:
    from segal.errors import SegALError

_FULL_OR_FORBIDDEN = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
)


def make_parser(summary: str | None = None) -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog='segal train',
        usage='segal train CONFIG [GPUS] [options]',
        description=summary or 'Rounds of train -> query -> label.',
        epilog='examples:\n'
        '  segal train experiments/quickstart/quickstart.py\n'
        '  segal train my_config.py 4 --work-dir work_dirs/mine --seed 1\n'
        '  segal train my_config.py --dry-run',
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
        '--smoke',
        action='store_true',
        help='one iteration of everything on a few images, in a folder of '
        'its own (<work_dir>_smoke)',
    )
    parser.add_argument(
        '--deterministic',
        action='store_true',
        help='deterministic algorithms on the GPU',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=KeyValues,
        help='keys to change, such as runner.sample_rounds=3',
    )
    parser.add_argument(
        '--launcher',
        default='none',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
    )
    parser.add_argument(
        '--debug',
        action='store_true',
        help='show the traceback of errors, and log lines on a terminal, too',
    )
    return parser


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = make_parser()
    args = parser.parse_args(arguments)
    if args.smoke and args.resume:
        parser.error(
            'argument --smoke: a smoke run begins anew; leave --resume out'
        )
    return args


def main(arguments: Sequence[str] | None = None) -> int:
    """Run an experiment.

    Args:
        arguments: Of the command line, ``sys.argv`` by default.

    Returns:
        The exit code: 0, or that of the error (2 config, 3 data, 4 state, 5
        another process is gone, 6 people are asked, 128 + n ended by signal
        n).
    """
    end_with_parent()
    with listening():
        return _main(arguments)


def _main(arguments: Sequence[str] | None) -> int:
    args = parse(arguments)  # before imports of seconds
    from segal import compat, terminal
    from segal.distributed import ranks
    from segal.distributed.launching import init_process_group
    from segal.errors import AnswersWanted, ConfigError, last_words

    compat.apply()
    warnings.filterwarnings('ignore', message='When align_corners=True')
    try:
        init_process_group(args.launcher)
        _run(args)
    except Exception as caught:
        error = _in_words(caught)
        if args.debug or error is None:
            terminal.leave_message(traceback.format_exc())
            raise
        alone = not error.shared and not isinstance(error, ConfigError)
        if ranks.is_main():
            head = '' if isinstance(error, AnswersWanted) else 'Error: '
            sys.stderr.write(f'\n{head}{last_words(error)}\n')
        elif alone:
            said = f'\nError in process {ranks.rank()}: {last_words(error)}\n'
            sys.stderr.write(said)
            terminal.leave_message(said)
        if alone and ranks.world_size() > 1:
            # The others may wait for us where nobody can tell them.
            sys.stderr.flush()
            os._exit(error.exit_code)
        return error.exit_code
    return 0


def _in_words(error: Exception) -> SegALError | None:
    """Turn an error into one that a user can correct; None for a bug."""
    import torch

    from segal.distributed import ranks
    from segal.errors import ConfigError, DataError, SegALError, StateError
    from segal.files import unwritable

    if isinstance(error, SegALError):
        return error
    if isinstance(error, OSError) and error.errno in _FULL_OR_FORBIDDEN:
        where = error.filename or 'a file of the work_dir'
        return StateError(unwritable(where, error))
    said = str(error)
    if isinstance(error, torch.OutOfMemoryError):
        return ConfigError(
            'data.samples_per_gpu: the GPU has too little memory for it '
            f'({said.splitlines()[0]}); lower it, or the size of the crops'
        )
    if 'DataLoader worker' in said and ('killed' in said or 'exited' in said):
        return DataError(
            f'a process that loads images was ended from outside ({said}): '
            'memory or shared memory (/dev/shm) ran out; lower '
            'data.workers_per_gpu, and run the same command again'
        )
    return ranks.lost_rank(error, 'in training')


def _run(args: argparse.Namespace) -> None:
    import torch

    from segal.config.load import load_config, work_dir_of
    from segal.preflight.read import smoke_folder
    from segal.utils.train import Options, run_experiment

    cfg = load_config(args.config, args.cfg_options)
    if args.deterministic or cfg.get('deterministic'):
        # cuBLAS reads it when it is first used
        os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')
        torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(True, warn_only=True)
    elif cfg.get('cudnn_benchmark'):
        torch.backends.cudnn.benchmark = True
    if args.seed is not None:
        cfg.seed = args.seed
    work_dir = args.work_dir or work_dir_of(cfg, args.config)
    run_experiment(
        cfg,
        Options(
            work_dir=smoke_folder(work_dir) if args.smoke else work_dir,
            resume=args.resume,
            dry_run=args.dry_run,
            smoke=args.smoke,
            lines=args.debug,
        ),
    )


if __name__ == '__main__':
    sys.exit(main())
