"""Draw a run on the terminal of rank 0."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from segal import terminal
from segal.distributed import ranks


@contextmanager
def on_terminal(title: str, logger: logging.Logger) -> Iterator[None]:
    """Draw the run, where rank 0 has a terminal; the other ranks keep quiet.

    Args:
        title: Name of the experiment.
        logger: Writes the log file on rank 0.
    """
    log = None
    if ranks.is_main() and terminal.can_draw():
        log = next(
            handler.baseFilename
            for handler in logger.handlers
            if isinstance(handler, logging.FileHandler)
        )
    log = ranks.broadcast(log)
    if log is None:
        yield
    elif ranks.is_main():
        with terminal.drawn(title, log, logger):
            yield
    else:
        terminal.hush(log)
        yield
