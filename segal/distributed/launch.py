"""Run torchrun, and end with the exit code of the workers.

``python -m segal.distributed.launch [torchrun's options] -m module [args]``.
torchrun itself always ends with 1 and a page of traceback, which hides the
message of the workers.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, run

from segal.distributed.process import LAUNCHER_PID

SAID_WHY = (2, 3, 4, 5, 6, 130, 143)
"""Exit codes of workers that have printed the cause already."""

BEREFT = 5
"""Exit code of a worker that ended because another one was gone."""


def main(arguments: Sequence[str]) -> int:
    """Start the workers and wait for them.

    Returns:
        0, the exit code of the worker that failed first, or 128 + the number
        of the signal that ended a worker or this process.
    """
    quiet = logging.getLogger('torch.distributed')
    quiet.setLevel(logging.CRITICAL)
    for handler in quiet.handlers:  # some loggers below have their own level
        handler.setLevel(logging.CRITICAL)
    os.environ[LAUNCHER_PID] = str(os.getpid())
    try:
        run(parse_args(list(arguments)))
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        code = failure.exitcode
        for other, cause in error.failures.items():
            if code == BEREFT != cause.exitcode:
                rank, code = other, cause.exitcode
            if isinstance(cause.message, dict):
                # left by a process that kept off the screen of rank 0
                sys.stderr.write(cause.message['message'])
    except SignalException as error:
        return 128 + int(error.sigval)
    else:
        return 0
    if code < 0:
        end = f'was ended by {signal.Signals(-code).name}'
        code = 128 - code
    else:
        end = f'failed with exit code {code}'
    if code not in SAID_WHY or 'ended' in end:
        sys.stderr.write(f'Process {rank} {end}.\n')
    return code


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
