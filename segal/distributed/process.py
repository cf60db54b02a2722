"""End processes with their parent, and return unused memory."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

LAUNCHER_PID = 'SEGAL_LAUNCHER_PID'
"""The environment variable in which the launcher leaves its process id."""

_PR_SET_PDEATHSIG = 1


def return_memory() -> None:
    """Return unused memory of the allocator to the system.

    glibc keeps pages that lie between pieces in use; over many rounds they
    add up, and the process looks as if it grew.
    """
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None)  # glibc alone
    if trim is not None:
        trim(0)


def end_with_parent() -> None:
    """End a worker when torchrun ends, however that ends.

    Killed with SIGKILL, torchrun cannot stop its workers, and they would go
    on writing into the work_dir beside the run that replaces them. Call this
    first in every worker. A process that torchrun did not start is left
    alone: it may outlive the shell it came from. Linux only.
    """
    if 'TORCHELASTIC_RUN_ID' not in os.environ or sys.platform != 'linux':
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    launcher = os.environ.get(LAUNCHER_PID)
    if launcher and os.getppid() != int(launcher):  # it died before this line
        os.kill(os.getpid(), signal.SIGKILL)
