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

    glibc keeps free pages between pages in use; over many rounds they add up.
    """
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None)  # glibc alone
    if trim is not None:
        trim(0)


def end_with_parent() -> None:
    """End this worker when torchrun ends, also by SIGKILL (Linux only).

    Otherwise the worker would write into the work_dir beside the run that
    replaces it. A process that torchrun did not start may outlive its shell.
    """
    if 'TORCHELASTIC_RUN_ID' not in os.environ or sys.platform != 'linux':
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    launcher = os.environ.get(LAUNCHER_PID)
    if launcher and os.getppid() != int(launcher):  # it died before this line
        os.kill(os.getpid(), signal.SIGKILL)
