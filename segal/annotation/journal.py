"""Append answers to a journal, each on disk before it is acknowledged.

One line an event, JSON, with a CRC-32 of what is before it. The first line
names the request. A line is whole or it is the last one: a process that is
killed while it writes leaves a torn last line, which is cut. Anything else
that does not read is damage, and refused.
"""

from __future__ import annotations

import gc
import json
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from threading import Lock
from typing import Any

from segal.annotation.answers import Answer, is_class, judge
from segal.annotation.request import Request
from segal.annotation.state import Event, State
from segal.errors import StateError
from segal.files import replace_file, sync_folder, unwritable

VERSION = 1
_decode = json.JSONDecoder().raw_decode  # half the time of json.loads
_encode = json.JSONEncoder(separators=(',', ':')).encode


def encode_line(value: dict[str, Any]) -> bytes:
    """Write a value as a line with its CRC-32 at the end."""
    body = _encode(value)[:-1].encode()
    return body + b',"crc":"%08x"}\n' % zlib.crc32(body)


def decode_line(line: bytes) -> dict[str, Any]:
    """Read a line.

    Raises:
        ValueError: It was altered, or is not whole.
    """
    body, found, end = line[:-18], line[-18:-10], line[-10:]
    if found != b',"crc":"' or end[-2:] != b'"}':
        raise ValueError('no CRC at its end')
    if end[:-2] != b'%08x' % zlib.crc32(body):
        raise ValueError('its CRC-32 is not that of its content')
    value, _ = _decode(str(body, 'ascii') + '}')
    assert isinstance(value, dict)
    return value


def encode_event(event: Event) -> bytes:
    """Write an event as a line; what it is for only where it is no vote."""
    written = event._asdict()
    written['class'] = written.pop('cls')
    if event.role == 'vote':
        del written['role']
    return encode_line(written)


def read_journal(
    path: Path,
    request: Request,
    classes: int,
    wanted: Sequence[int] | None = None,
) -> tuple[State, int]:
    """Replay a journal.

    Args:
        path: Of the journal; a file that is not there is an empty one.
        request: What it answers.
        classes: How many there are.
        wanted: Answers that each item wants; one each by default.

    Returns:
        What its events come to, and how many bytes of it are whole lines;
        the last of them may lack its end of line.

    Raises:
        StateError: It is damaged, or answers another request.
    """
    state, whole = State(len(request), wanted), 0
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return state, whole
    lines = data.split(b'\n')
    for number, line in enumerate(lines, 1):
        is_last = number == len(lines)
        try:
            if is_last and not line:
                break
            value = decode_line(line)
            if number == 1:
                if value != _header(request):
                    raise ValueError('it answers another request')
            else:
                event = Event(cls=value.pop('class'), **value)
                problem = state.problem(event)
                if problem or not is_class(event.cls, classes):
                    raise ValueError(problem or f'class {event.cls}')
                state.apply(event)
        except (ValueError, TypeError, KeyError, AssertionError) as error:
            if is_last:
                break  # torn; a writer cuts it
            raise StateError(
                f'{path}, line {number}: wanted an answer as it was written, '
                f'got another line ({error}); nothing was changed: restore '
                'the file from a copy, or move it away to ask the round anew'
            ) from error
        whole += len(line) + (not is_last)
    return state, whole


def _header(request: Request) -> dict[str, Any]:
    return dict(format=VERSION, round=request.round, request=request.sha256)


@contextmanager
def no_collection() -> Iterator[None]:
    """Make many objects that stay, without looking for unreachable ones.

    A long journal would be walked over and over while it is read, and again
    in the middle of somebody's request.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if enabled:
            gc.enable()


class Journal:
    """An open journal; one process writes it.

    Args:
        path: Of the file.
        request: What it answers.
        classes: How many there are.
        check: Raises :class:`Closed` where no further answer may be written.
        exclusive: Keeps other processes out while it is checked and written.
        wanted: Answers that each item wants; one each by default.

    Attributes:
        state: What its events come to.
        cut: A sentence about a torn last line that was cut; else empty.

    Raises:
        StateError: It is damaged, or cannot be written.
    """

    def __init__(
        self,
        path: Path,
        request: Request,
        classes: int,
        check: Callable[[], None] = lambda: None,
        exclusive: Callable[[], AbstractContextManager[None]] = nullcontext,
        wanted: Sequence[int] | None = None,
    ) -> None:
        self.path = path
        self.request = request
        self.classes = classes
        self.check = check
        self.exclusive = exclusive
        self.cut = ''
        self._lock = Lock()
        self.state, whole = read_journal(path, request, classes, wanted)
        try:
            self._file = open(path, 'ab', buffering=0)  # noqa: SIM115
            torn = self._file.tell() - whole
            if torn:
                self._file.truncate(whole)
                self.cut = (
                    f'{path}: its last line was torn ({torn} bytes, never '
                    'acknowledged), and is cut'
                )
            if not whole:
                self._write(encode_line(_header(request)))
            elif not path.read_bytes().endswith(b'\n'):
                self._write(b'\n')
            os.fsync(self._file.fileno())
            sync_folder(path.parent)
        except OSError as error:
            raise StateError(unwritable(path, error)) from error

    def append(
        self, item: int, rev: int, who: str, what: str, **more: Any
    ) -> Event:
        """Write an event, and sync it to disk.

        The arguments are the fields of :class:`Answer`. A ``client`` that
        was written before is returned as it was written. An undo has the
        role of what it takes back.

        Raises:
            Conflict: The item has another revision, or wants no answer of
                this person any more.
            Closed: The round takes no answers any more.
            ValueError: The event makes no sense.
            StateError: It cannot be written.
        """
        answer = Answer(item, rev, who, what, **more)
        with self._lock, self.exclusive():
            event = judge(self.state, self.classes, answer, self.check)
            if event.n <= self.state.events:
                return event
            end = self._end()
            try:
                self._write(encode_event(event))
                os.fdatasync(self._file.fileno())
            except OSError as error:
                self._file.truncate(end)
                raise StateError(unwritable(self.path, error)) from error
            self.state.apply(event)
            return event

    def extend(self, answers: Sequence[Answer]) -> list[Event]:
        """Write many answers, all or none of them, however the process ends.

        The journal is written anew and renamed. No other process may have it
        open to write.

        Args:
            answers: In the order in which they count.

        Returns:
            The event of each answer; those that were written before stay as
            they are.

        Raises:
            Conflict: An item has another revision.
            Closed: The round takes no answers any more.
            ValueError: An answer makes no sense.
            StateError: The journal cannot be written.
        """
        with self._lock, self.exclusive():
            trial, _ = read_journal(
                self.path, self.request, self.classes, self.state.wanted
            )
            events, new = [], []
            for answer in answers:
                event = judge(trial, self.classes, answer)
                if event.n > trial.events:
                    trial.apply(event)
                    new.append(event)
                events.append(event)
            if new:
                self.check()
                lines = b''.join(map(encode_event, new))
                replace_file(self.path, self.path.read_bytes() + lines)
                self._file.close()
                self._file = open(self.path, 'ab', buffering=0)  # noqa: SIM115
            self.state = trial
            return events

    def _end(self) -> int:
        """Return how long the file is.

        Raises:
            StateError: It was moved away, or another one took its place.
        """
        ours = os.fstat(self._file.fileno())
        try:
            is_there = os.path.samestat(ours, self.path.stat())
        except OSError:
            is_there = False
        if not is_there:
            raise StateError(
                f'{self.path}: wanted the file that was opened, got none, or '
                'another one in its place; end the page and start it again, '
                'which reads what is there'
            )
        return ours.st_size

    def _write(self, line: bytes) -> None:
        written = self._file.write(line)
        if written != len(line):
            raise OSError(28, 'only a part of the line was written')

    def close(self) -> None:
        """Close the file."""
        self._file.close()
