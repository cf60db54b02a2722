"""Replay the events of a journal: what stands, and what can be undone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

What = Literal['class', 'mask', 'void', 'cant_tell', 'skip', 'undo']
WHATS: tuple[str, ...] = get_args(What)
ANSWERS = ('class', 'mask', 'void', 'cant_tell')
"""What counts as an answer; all else leaves an item open."""

LONGEST = {'mask': 3600.0}
LONGEST_CLICK = 60.0
"""Seconds of one answer that count; more is taken for a break."""


class Event(NamedTuple):
    """One thing that a person did.

    Attributes:
        n: Number of the event in its journal, from 1.
        item: Index of the item.
        rev: Revision of the item after the event, from 1.
        who: Name of the person.
        what: See ``WHATS``.
        cls: Training class id, for ``'class'``.
        mask: SHA-256 of a PNG, for ``'mask'``.
        ms: Milliseconds from painted to key.
        hidden_ms: Milliseconds of these in which the page was hidden.
        hint: What was suggested; None where nothing was.
        client: Number that the page gave the event, to write it once.
        at: When it was written, ISO 8601 in UTC.
    """

    n: int
    item: int
    rev: int
    who: str
    what: str
    cls: int | None = None
    mask: str | None = None
    ms: int | None = None
    hidden_ms: int = 0
    hint: int | None = None
    client: str = ''
    at: str = ''

    @property
    def seconds(self) -> float | None:
        """Return the seconds that were spent, without breaks."""
        if self.ms is None:
            return None
        longest = LONGEST.get(self.what, LONGEST_CLICK)
        return min(max(0, self.ms - self.hidden_ms) / 1000, longest)


class State:
    """What the events of a journal come to, item by item.

    Args:
        items: How many there are.
    """

    def __init__(self, items: int) -> None:
        self.items = items
        self.answered = 0
        self.events = 0
        self.clients: dict[str, Event] = {}
        self._last: list[Event | None] = [None] * items
        self._stacks: dict[str, list[Event]] = {}
        self._seconds: dict[str, list[float]] = {}

    def rev(self, item: int) -> int:
        """Return how many events an item has."""
        last = self._last[item]
        return last.rev if last else 0

    def last(self, item: int) -> Event | None:
        """Return the last event of an item."""
        return self._last[item]

    def standing(self, item: int) -> Event | None:
        """Return the answer to an item that stands; None: it is open."""
        last = self._last[item]
        return last if last and last.what in ANSWERS else None

    def is_skipped(self, item: int) -> bool:
        """Check whether an item was skipped last."""
        last = self._last[item]
        return last is not None and last.what == 'skip'

    @property
    def skipped(self) -> int:
        """Count the items that were skipped last."""
        return sum(map(self.is_skipped, range(self.items)))

    def undoable(self, who: str) -> int | None:
        """Return the item that a person answered or skipped last.

        Items that somebody else touched since are passed over.
        """
        stack = self._stacks.get(who, [])
        while stack and self._last[stack[-1].item] is not stack[-1]:
            stack.pop()
        return stack[-1].item if stack else None

    def seconds(self, who: str | None = None) -> Sequence[float]:
        """Return the seconds of each event, of one person or of all."""
        if who is not None:
            return self._seconds.get(who, [])
        return [one for each in self._seconds.values() for one in each]

    def people(self) -> list[str]:
        """Return the names of all who did something."""
        return sorted(self._stacks)

    def problem(self, event: Event) -> str | None:
        """Explain why an event cannot follow; None where it can."""
        if not 0 <= event.item < self.items:
            return f'item {event.item}, of {self.items}'
        if event.n != self.events + 1:
            return f'event {event.n} after {self.events}'
        if event.rev != self.rev(event.item) + 1:
            return (
                f'revision {event.rev} of item {event.item} after '
                f'{self.rev(event.item)}'
            )
        if event.what not in WHATS:
            return f'what: {event.what!r}'
        if event.client in self.clients:
            return f'client {event.client!r} twice'
        undoes = event.what == 'undo'
        if undoes and self.undoable(event.who) != event.item:
            return f'an undo of item {event.item}, which is not the last'
        if not undoes and self.standing(event.item):
            return f'a second answer to item {event.item}'
        if (event.what == 'class') != (event.cls is not None):
            return f'class {event.cls} for {event.what!r}'
        if (event.what == 'mask') != (event.mask is not None):
            return f'mask {event.mask!r} for {event.what!r}'
        return None

    def apply(self, event: Event) -> None:
        """Take in the next event, for which :meth:`problem` found none."""
        before = self.standing(event.item)
        self._last[event.item] = event
        self.events = event.n
        self.clients[event.client] = event
        after = event.what in ANSWERS
        self.answered += after - (before is not None)
        stack = self._stacks.setdefault(event.who, [])
        if event.what == 'undo':
            stack.pop()
        else:
            stack.append(event)
        seconds = event.seconds
        if seconds is not None:
            self._seconds.setdefault(event.who, []).append(seconds)
