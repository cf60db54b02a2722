"""The screen of a run: what a person sees while it trains.

Without a terminal, and with ``lines=True``, nothing here does anything: log
lines and tqdm's bars are written as ever.
"""

from segal.terminal.screen import (
    can_draw,
    drawn,
    finish,
    hush,
    is_drawn,
    leave_message,
    log_words,
    notice,
    progress,
    show,
)

__all__ = [
    'can_draw',
    'drawn',
    'finish',
    'hush',
    'is_drawn',
    'leave_message',
    'log_words',
    'notice',
    'progress',
    'show',
]
