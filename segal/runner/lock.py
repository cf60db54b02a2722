"""One run at a time in a work_dir."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from segal import distributed as ranks
from segal.errors import StateError

FILE = '.lock'


@contextmanager
def locked(work_dir: Path) -> Iterator[None]:
    """Hold a work_dir for this run, on rank 0.

    The kernel drops the lock with the process that held it, however that
    ended; so a lock that is held is never stale.

    Args:
        work_dir: The experiment's folder.

    Raises:
        StateError: Another run holds it; it is named.
    """
    if not ranks.is_main():
        yield
        return
    with open(work_dir / FILE, 'a+') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            raise StateError(
                f'{work_dir}: wanted a work_dir that nobody uses, but another '
                f'run is at work in it: {file.read().strip()}; wait for it, '
                'end it, or name another folder with --work-dir'
            ) from error
        file.truncate(0)
        owner = dict(
            host=socket.gethostname(),
            process=os.getpid(),
            ranks=ranks.world_size(),
        )
        file.write(json.dumps(owner))
        file.flush()
        yield
