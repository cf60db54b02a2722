"""End a run at a safe point after SIGTERM or Ctrl-C.

A signal is only recorded; the run checks the record at safe points (after an
iteration, between two images of a query, between rounds), and ends there. A
second signal ends the process at once.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from segal import terminal
from segal.errors import SegALError

SIGNALS = (signal.SIGINT, signal.SIGTERM)

PATIENCE = 1.0
"""Seconds within which a repeated signal counts as the same request: Ctrl-C
reaches every process of a terminal, and a launcher passes it on again."""

_asked: int = 0
_since = 0.0
_ours = 0


class StoppedError(SegALError):
    """The run was asked to end, and ended at a safe point."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.exit_code = 128 + number
        name = signal.Signals(number).name
        super().__init__(
            f'ended by {name} at a safe point; nothing is lost: run the same '
            'command again to go on'
        )

    def __reduce__(self) -> tuple[type[StoppedError], tuple[int]]:
        return StoppedError, (self.number,)


@contextmanager
def listening() -> Iterator[None]:
    """Record SIGINT and SIGTERM inside this block, and do nothing else."""
    global _asked, _ours
    _asked, _ours = 0, os.getpid()
    found = {number: signal.signal(number, _note) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in found.items():
            signal.signal(number, handler)
        _asked = 0


def requested() -> int:
    """Return the signal that asked this process to end, 0 where none did."""
    return _asked


def check() -> None:
    """End the run here if it was asked to; for one rank, at a safe point.

    Raises:
        StoppedError: The process was asked to end.
    """
    if _asked:
        raise StoppedError(_asked)


def check_together() -> None:
    """End the run on every rank if one of them was asked to.

    Raises:
        StoppedError: A process of this run was asked to end.
    """
    from segal.distributed import ranks

    number = ranks.largest(requested())
    if number:
        stopped = StoppedError(number)
        stopped.shared = True
        raise stopped


def _note(number: int, frame: Any) -> None:
    global _asked, _since
    if os.getpid() != _ours:
        return  # a loader's worker, which ends with its parent
    if not _asked:
        _asked, _since = number, time.monotonic()
        if os.environ.get('RANK', '0') == '0':
            said = (
                f'{signal.Signals(number).name}: ending at the next safe '
                'point; the same again ends at once.'
            )
            sys.stderr.write(f'\n{said}\n')
            terminal.notice(said)
    elif time.monotonic() - _since > PATIENCE:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
