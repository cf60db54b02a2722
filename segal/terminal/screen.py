"""Draw a run in place; what else is written goes to the log file.

While a screen is drawn, the file descriptors 1 and 2 of this process are the
log file where they were the terminal. So nothing breaks the screen: neither
mmcv's loggers, warnings and print, nor W&B and the loaders' processes.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

from tqdm import tqdm

from segal.errors import AnswersWanted
from segal.terminal.frame import (
    Line,
    Step,
    View,
    columns,
    compose,
    render,
    warnings_words,
)

EVERY = 0.1
"""Seconds between two drawings at least."""

_screen: Screen | None = None
_hushed = False


class Screen:
    """Draw a view on a terminal, in place."""

    def __init__(self, view: View, terminal: int) -> None:
        self.view = view
        self._terminal = terminal
        self._process = os.getpid()
        self._colour = not os.environ.get('NO_COLOR')
        self._widths: list[int] = []  # of the lines that are drawn
        self._drawn = 0.0
        self._busy = False

    def draw(self, at_once: bool = False) -> None:
        """Draw the view, unless it was drawn a moment ago."""
        now = time.monotonic()
        if self._busy or not (at_once or now - self._drawn >= EVERY):
            return
        self._busy = True  # a signal may come in between
        try:
            if self._is_ours():
                width, height = os.get_terminal_size(self._terminal)
                lines = compose(self.view, width, height, now)
                self._write(self._back(width) + self._text(lines))
                self._widths = [
                    sum(columns(text) for text, _ in line) for line in lines
                ]
            else:
                self.forget()
            self._drawn = now
        except OSError:
            self.forget()  # the terminal is gone; the run goes on
        finally:
            self._busy = False

    def forget(self) -> None:
        """Draw below what is there from now on."""
        self._widths = []

    def end(self) -> None:
        """Leave the last words in place of the view, or else the view."""
        view = self.view
        view.notice = ''
        for step in view.steps:  # they stopped: nothing is left
            step.first = step.done
        try:
            if view.last or not view.rows:
                width = os.get_terminal_size(self._terminal).columns
                self._write(self._back(width) + '\x1b[J' + view.last)
            else:
                self.draw(at_once=True)
        except OSError:
            pass

    def _is_ours(self) -> bool:
        """Check that no other job has the terminal, such as a shell."""
        if os.getpid() != self._process:
            return False  # a loader's process
        try:
            return os.tcgetpgrp(self._terminal) == os.getpgrp()
        except OSError:
            return True  # torchrun gives us a session of our own

    def _back(self, width: int) -> str:
        """Return the codes to go back to the first line that is drawn."""
        # a terminal that became narrower has wrapped them
        rows = sum(max(1, -(-one // width)) for one in self._widths)
        return '\r' + (f'\x1b[{rows}A' if rows else '')

    def _text(self, lines: Sequence[Line]) -> str:
        shown = (render(line, self._colour) + '\x1b[K\r\n' for line in lines)
        return ''.join(shown) + '\x1b[J'

    def _write(self, text: str) -> None:
        data = text.encode()
        while data:
            data = data[os.write(self._terminal, data) :]


class _Warnings(logging.Handler):
    """Count the warnings of a logger."""

    def __init__(self, view: View) -> None:
        super().__init__(logging.WARNING)
        self.view = view

    def emit(self, record: logging.LogRecord) -> None:
        """Count one."""
        self.view.warnings += 1


class Progress:
    """Count a step on the screen; used as tqdm is."""

    def __init__(self, screen: Screen, step: Step) -> None:
        self._screen, self._step = screen, step

    def __enter__(self) -> Self:
        self._screen.view.steps.append(self._step)
        self._screen.draw(at_once=True)
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        steps = self._screen.view.steps
        ended = kind is None or issubclass(kind, AnswersWanted)
        if ended and self._step in steps:  # else it stays to be seen
            steps.remove(self._step)

    def update(self, n: int = 1) -> None:
        """Count ``n`` units as done."""
        self._step.done += n
        self._screen.draw()

    def set_postfix_str(self, note: str) -> None:
        """Show more beside the bar, from the next drawing on."""
        self._step.note = note


def can_draw() -> bool:
    """Check that standard error is a terminal that can be drawn on."""
    try:
        ''.join(('█', '…')).encode(sys.stderr.encoding or 'ascii')
        known = os.environ.get('TERM') not in (None, '', 'dumb')
        return known and os.isatty(2) and sys.stderr.isatty()
    except (UnicodeEncodeError, LookupError, ValueError):
        return False


def is_drawn() -> bool:
    """Check whether this process draws a screen."""
    return _screen is not None


@contextmanager
def drawn(title: str, log: str, logger: logging.Logger) -> Iterator[None]:
    """Draw a screen within this block.

    Args:
        title: Name of the experiment.
        log: The log file; what else is written goes to its end.
        logger: Writes into that file; its lines leave the terminal.
    """
    global _screen
    spoken = [
        handler
        for handler in logger.handlers
        if type(handler) is logging.StreamHandler
    ]
    near = os.path.relpath(log)
    view = View(title, log if near.startswith('..') else near)
    counter = _Warnings(view)
    saved = _turn(log)
    screen = _screen = Screen(view, saved[2])
    for handler in spoken:
        logger.removeHandler(handler)
    logger.addHandler(counter)
    woken = signal.signal(signal.SIGCONT, lambda *_: screen.forget())
    _screen.draw(at_once=True)
    try:
        yield
    finally:
        _screen = None
        signal.signal(signal.SIGCONT, woken)
        logger.removeHandler(counter)
        for handler in spoken:
            logger.addHandler(handler)
        sys.stdout.flush()
        sys.stderr.flush()
        screen.end()
        for number, copy in saved.items():
            os.dup2(copy, number)
            os.close(copy)


def _turn(log: str) -> dict[int, int]:
    """Turn standard output and error from the terminal to the log.

    Returns:
        A copy of each that was the terminal, by its number.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    saved = {number: os.dup(number) for number in (1, 2) if os.isatty(number)}
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    for number in saved:
        os.dup2(file, number)
    os.close(file)
    return saved


def hush(log: str) -> None:
    """Send all that this process writes to the log, for good."""
    global _hushed
    _hushed = True
    _turn(log)


def progress(
    total: int | None,
    what: str,
    unit: str = 'image',
    initial: int = 0,
    disable: bool = False,
    delay: float = 0,
) -> Progress | tqdm[Any]:
    """Show a step: on the screen, else with tqdm.

    Args:
        total: How many units it has; None: unknown, and no bar.
        what: Its name.
        unit: In the singular.
        initial: Units that are done already.
        disable: Do not show it without a screen.
        delay: Seconds before tqdm shows it.
    """
    if _screen is not None:
        now = time.monotonic()
        step = Step(what, total, unit, now, initial, initial)
        return Progress(_screen, step)
    return tqdm(
        total=total,
        desc=what,
        unit=unit,
        initial=initial,
        disable=disable or _hushed,
        delay=delay,
        mininterval=1,
        leave=False,
    )


def show(rows: Sequence[dict[str, Any]], round: int, rounds: int) -> None:
    """Show rounds, and which is at work.

    Args:
        rows: As in ``rounds.json``; that of a round at work has no mIoU.
        round: At work, from 0.
        rounds: How many there are.
    """
    if _screen is not None:
        view = _screen.view
        view.rows, view.round, view.rounds = rows, round, rounds
        _screen.draw(at_once=True)


def notice(text: str) -> None:
    """Show a sentence at once, such as what a signal does."""
    if _screen is not None:
        _screen.view.notice = text
        _screen.draw(at_once=True)


def finish(text: str) -> None:
    """Leave a text in place of the screen when it ends."""
    if _screen is not None:
        _screen.view.last += text + '\n'


def log_words() -> list[str]:
    """Say where the log is, in a line as those of the other results."""
    if _screen is None:
        return []
    view = _screen.view
    return [f'  log       {view.log}{warnings_words(view.warnings)}']


def leave_message(text: str) -> None:
    """Leave the last words of a hushed process to torchrun's error file."""
    path = os.environ.get('TORCHELASTIC_ERROR_FILE')
    if _hushed and path:
        said = dict(message=text, extraInfo=dict(timestamp=int(time.time())))
        with open(path, 'w') as file:
            json.dump(dict(message=said), file)
