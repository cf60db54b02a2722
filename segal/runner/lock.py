"""Keep a second run out of a work_dir."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from segal.distributed import ranks
from segal.errors import StateError

FILE = '.lock'
_HELD = (errno.EACCES, errno.EAGAIN)


@contextmanager
def locked(work_dir: Path, logger: logging.Logger) -> Iterator[None]:
    """Hold the lock of a work_dir for all processes of this run.

    Rank r locks byte r of ``work_dir/.lock``. The kernel releases the lock
    when the process ends, and no child inherits it. So a held lock is never
    stale, and a process that outlives its run keeps other runs out. The
    file's text names the processes; if it is not empty but not locked, that
    run was killed.

    Args:
        work_dir: The experiment's folder.
        logger: Logs a stale lock, and a disk that cannot lock.

    Raises:
        StateError: Another run holds it; its processes are named.
    """
    with _Held(work_dir / FILE, logger) as held:
        with ranks.together():
            if ranks.is_main():
                held.take_all()
        held.take_own()
        owners = ranks.gather(
            dict(
                rank=ranks.rank(),
                host=socket.gethostname(),
                process=os.getpid(),
            )
        )
        if ranks.is_main():
            held.sign(owners)
        ranks.barrier()
        try:
            yield
        finally:  # an error is no kill
            if ranks.is_main():
                held.sign([])


class _Held:
    """An open lock file; closing it releases the lock."""

    def __init__(self, path: Path, logger: logging.Logger) -> None:
        self.path = path
        self.logger = logger
        self.file: IO[str] | None = None
        self.able = True

    def __enter__(self) -> _Held:
        self.file = open(self.path, 'a+')
        return self

    def __exit__(self, *error: object) -> None:
        assert self.file is not None
        self.file.close()

    def take_all(self) -> None:
        """Check that no other run holds the work_dir, and lock byte 0.

        Raises:
            StateError: Somebody is.
        """
        assert self.file is not None
        try:
            fcntl.lockf(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _HELD:
                raise StateError(
                    f'{self.path.parent}: wanted a work_dir that nobody uses, '
                    'but another run is at work in it: '
                    f'{_named(self._owners()) or "it is just starting"}; wait '
                    'for it, end it, or name another folder with --work-dir'
                ) from error
            self.able = False
            self.logger.warning(
                '%s: this disk cannot lock files (%s); take care that no '
                'second run is started here',
                self.path,
                error.strerror,
            )
            return
        stale = self._owners()
        if stale:
            self.logger.info(
                'the run before was killed (%s); its lock is stale and taken '
                'over',
                _named(stale),
            )
        fcntl.lockf(self.file, fcntl.LOCK_UN, 0, 1)

    def take_own(self) -> None:
        """Lock this rank's byte."""
        assert self.file is not None
        if ranks.is_main() or not self.able:
            return
        try:
            fcntl.lockf(
                self.file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, ranks.rank()
            )
        except OSError:
            self.able = False  # rank 0 has said so, or the disk is another

    def sign(self, owners: list[dict[str, object]]) -> None:
        """Write who holds the lock; nobody, where the run ends normally."""
        assert self.file is not None
        self.file.truncate(0)
        if owners:
            self.file.write(json.dumps(owners))
        self.file.flush()

    def _owners(self) -> list[dict[str, object]]:
        assert self.file is not None
        self.file.seek(0)
        try:
            found = json.loads(self.file.read() or '[]')
        except ValueError:
            return []
        found = found if isinstance(found, list) else [found]
        return [owner for owner in found if isinstance(owner, dict)]


def _named(owners: list[dict[str, object]]) -> str:
    return ', '.join(
        f'rank {owner.get("rank", 0)} is process {owner.get("process")} on '
        f'{owner.get("host")}'
        for owner in owners
    )
