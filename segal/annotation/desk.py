"""Follow which round is asked, and do all that touches its journal."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from segal.active.label_store.pool_file import read_pool
from segal.annotation.bodies import RefusedError, nonsense
from segal.annotation.crops import Crops
from segal.annotation.folder import AnnotationFolder
from segal.annotation.journal import no_collection
from segal.annotation.rounds import OVER, Asked
from segal.errors import StateError

log = logging.getLogger(__name__)

UNOPENED = 'the round cannot be opened; the terminal of the server says why'

LOOK_SECONDS = 1.0
"""Between two looks at which round is asked."""

T = TypeVar('T')

RunState = Literal['asking', 'closing', 'training', 'done']


@dataclass
class Status:
    """What the server cannot see in the work_dir; its caller sets it.

    Attributes:
        done: Whether the experiment is finished: nothing will be asked.
    """

    done: bool = False


class Desk:
    """Follow which round is asked, and keep its journal in one thread."""

    def __init__(self, work_dir: Path, status: Status) -> None:
        self.folder = AnnotationFolder(work_dir)
        self.status = status
        self.asked: Asked | None = None
        self.is_closing = False
        self.crops: Crops | None = None
        self._before: Asked | None = None
        self._looked = -LOOK_SECONDS
        self._problem = ''
        self._thread = ThreadPoolExecutor(1, 'journal')

    @property
    def state(self) -> RunState:
        """Return what goes on."""
        if self.asked:
            return 'closing' if self.is_closing else 'asking'
        return 'done' if self.status.done else 'training'

    def open(self) -> None:
        """Open the round that is asked, where one is.

        Raises:
            StateError: Its files are damaged.
        """
        pending = self.folder.pending()
        if self.asked and self.asked.round != pending:
            self.asked.journal.close()
            self._before, self.asked = self.asked, None
        if pending is None:
            return
        if self.asked is None:
            pool = read_pool(self.folder.work_dir)
            if self.crops is None:
                self.crops = Crops(pool)
            self.crops.pool = pool
            with no_collection():
                self.asked = Asked(self.folder, pending, self.crops)
            if self.asked.journal.cut:
                log.warning('%s', self.asked.journal.cut)
        self.is_closing = self.folder.is_closing(pending)

    async def do(self, function: Callable[..., T], *args: Any) -> T:
        """Call a function in the thread of the journal."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._thread, self._do, function, *args
        )

    def _do(self, function: Callable[..., T], *args: Any) -> T:
        now = time.monotonic()
        if now - self._looked >= LOOK_SECONDS:
            try:
                self.open()
                self._problem = ''
            except StateError as error:
                if str(error) != self._problem:
                    log.error('%s', error)
                self._problem = str(error)
            self._looked = time.monotonic()
        if self._problem and not self.asked:
            raise RefusedError(503, UNOPENED)
        return function(*args)

    def of(self, digest: str) -> Asked:
        """Return the round that is asked.

        Args:
            digest: SHA-256 of its request, or the beginning of it.

        Raises:
            RefusedError: Another one is asked, or none (410).
        """
        if not self.asked or not self.asked.request.sha256.startswith(digest):
            raise RefusedError(410, OVER)
        return self.asked

    def answer(self, who: str, answer: dict[str, Any]) -> dict[str, Any]:
        """Write an answer; see :meth:`Asked.answer`.

        An answer to the round before, written then and sent again because
        the reply was lost, is acknowledged again.
        """
        before = self._before
        if before and before.request.sha256 == answer['request']:
            known = before.state.clients.get(answer['client'])
            if known and (known.who, known.item) == (who, answer['item']):
                return dict(rev=known.rev, answered=before.state.given)
        return self.of(answer['request']).answer(who, answer)

    def close_round(self, who: str, digest: str) -> None:
        """Take no further answers to the round."""
        asked = self.of(digest)
        if not asked.state.given:
            raise nonsense('nothing is answered yet; answer an item first')
        self.folder.close(asked.round, who)
        self.is_closing = True

    def close(self) -> None:
        """End the threads, and close the journal."""
        self._thread.shutdown(wait=True)
        if self.crops:
            self.crops.close()
        if self.asked:
            self.asked.journal.close()
