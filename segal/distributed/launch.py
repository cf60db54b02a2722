"""Run torchrun, and end with the exit code of the workers.

``python -m segal.distributed.launch [torchrun's options] -m module [args]``.
torchrun itself ends with 1 and a page of traceback, whatever the workers
ended with; here their own message stays the last word.
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

SAID_WHY = (2, 3, 4, 5, 130, 143)
"""Exit codes of workers that have told the user what to mend."""


BEREFT = 5
"""Exit code of workers that ended because another one was gone."""


def main(arguments: Sequence[str]) -> int:
    """Start the workers and wait for them.

    Args:
        arguments: As torchrun takes them.

    Returns:
        0, the exit code of the worker that failed first, or 128 + the number
        of the signal that ended it, or us.
    """
    logging.getLogger('torch.distributed').setLevel(logging.CRITICAL)
    os.environ[LAUNCHER_PID] = str(os.getpid())
    try:
        run(parse_args(list(arguments)))
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        for other, cause in error.failures.items():
            if failure.exitcode == BEREFT != cause.exitcode:
                rank, failure = other, cause
        return _passed_on(rank, failure.exitcode)
    except SignalException as error:
        return 128 + int(error.sigval)
    return 0


def _passed_on(rank: int, code: int) -> int:
    if code in SAID_WHY:
        return code
    if code > 0:
        sys.stderr.write(f'Process {rank} failed with exit code {code}.\n')
        return code
    name = signal.Signals(-code).name
    sys.stderr.write(f'Process {rank} was ended by {name}.\n')
    return 128 - code


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
