"""Give the functions of :mod:`segal.rounds` beside the runner."""

from segal.rounds import (
    FILE,
    TIMES,
    plain,
    read_rounds,
    write_rounds,
    write_times,
)

__all__ = [
    'FILE',
    'TIMES',
    'plain',
    'read_rounds',
    'write_rounds',
    'write_times',
]
