"""Replay the events of a journal: what stands, and what can be undone.

An item wants one answer, or several, each by another person. Where it wants
one, all people share its revision. Where it wants several, each person has a
revision of their own, so that nobody disturbs another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, get_args

What = Literal['class', 'mask', 'void', 'cant_tell', 'skip', 'undo']
WHATS: tuple[str, ...] = get_args(What)
ANSWERS = ('class', 'mask', 'void', 'cant_tell')
"""What counts as an answer; all else leaves an item open."""

Role = Literal['vote', 'repeat', 'recheck', 'review']
ROLES: tuple[str, ...] = get_args(Role)
"""What an answer is for: one of those that an item wants; a person's own
answer once more; a second look at an answer that a model contradicts; a
reviewer's decision."""

OWN = ('vote', 'repeat')
"""What each person gives; of the others an item has one for all."""

LONGEST = {'mask': 3600.0}
LONGEST_CLICK = 60.0
"""Seconds of one answer that count; more is taken for a break."""


class Event(NamedTuple):
    """One thing that a person did.

    Attributes:
        n: Number of the event in its journal, from 1.
        item: Index of the item.
        rev: Revision after the event, from 1: of the item, or of the person
            in it; see :meth:`State.rev`.
        who: Name of the person.
        what: See ``WHATS``.
        cls: Training class id, for ``'class'``.
        mask: SHA-256 of a PNG, for ``'mask'``.
        ms: Milliseconds from painted to key.
        hidden_ms: Milliseconds of these in which the page was hidden.
        hint: What was suggested; None where nothing was.
        client: Number that the page gave the event, to write it once.
        at: When it was written, ISO 8601 in UTC.
        role: See ``ROLES``; an undo has that of the answer it takes back.
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
    role: str = 'vote'

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
        wanted: Answers that each item wants, each by another person; one
            each by default.

    Attributes:
        answered: Items that have all the answers they want.
        given: Answers that stand, of those that are wanted.
        total: Answers that are wanted.
        rechecked: Items whose answer is asked once more.
    """

    def __init__(
        self, items: int, wanted: Sequence[int] | None = None
    ) -> None:
        self.items = items
        self.wanted = list(wanted) if wanted is not None else [1] * items
        self.total = sum(self.wanted)
        self.answered = 0
        self.given = 0
        self.rechecked: set[int] = set()
        self.events = 0
        self.clients: dict[str, Event] = {}
        self._revs = [0] * items  # of items that want one answer
        self._last: list[Event | None] = [None] * items  # votes on the same
        self._own_revs: dict[tuple[int, str], int] = {}  # '': of reviewers
        self._slots: dict[tuple[int, str, str], Event] = {}  # all else
        self._votes: dict[int, dict[str, Event]] = {}
        self._stacks: dict[str, list[Event]] = {}
        self._seconds: dict[str, list[float]] = {}

    def rev(self, item: int, who: str = '', role: str = 'vote') -> int:
        """Return how many events an item has.

        Where it wants several answers, these are the events of one person;
        for a review, those of reviewers.
        """
        if role == 'review':
            return self._own_revs.get((item, ''), 0)
        if self.wanted[item] == 1:
            return self._revs[item]
        return self._own_revs.get((item, who), 0)

    def last(
        self, item: int, who: str = '', role: str = 'vote'
    ) -> Event | None:
        """Return the last event of an item in one role.

        Votes on an item that wants several, and repeats, are those of one
        person.
        """
        if role == 'vote' and self.wanted[item] == 1:
            return self._last[item]
        return self._slots.get(_slot(item, who, role))

    def standing(
        self, item: int, who: str | None = None, role: str = 'vote'
    ) -> Event | None:
        """Return the answer to an item that stands; None: there is none.

        Args:
            item: Which one.
            who: Whose answer; None: of those that it wants the first.
            role: Of the answer.
        """
        if role == 'vote' and self.wanted[item] > 1:
            votes = self._votes.get(item, {})
            if who is not None:
                return votes.get(who)
            return next(iter(votes.values()), None)
        last = self.last(item, who or '', role)
        if last is None or last.what not in ANSWERS:
            return None
        return last if who is None or last.who == who else None

    def answers(self, item: int) -> list[Event]:
        """Return the wanted answers to an item that stand, oldest first."""
        if self.wanted[item] > 1:
            return list(self._votes.get(item, {}).values())
        last = self._last[item]
        return [last] if last and last.what in ANSWERS else []

    def stands(self, event: Event) -> bool:
        """Check whether an event is an answer that stands."""
        last = self.last(event.item, event.who, event.role)
        return last is event and event.what in ANSWERS

    def is_full(self, item: int) -> bool:
        """Check whether an item has all the answers that it wants."""
        return len(self.answers(item)) >= self.wanted[item]

    @property
    def is_complete(self) -> bool:
        """Check whether every item has all the answers that it wants."""
        return self.answered == self.items and not self.recheck_left

    @property
    def recheck_left(self) -> int:
        """Count the answers that are asked once more, and not given."""
        return sum(
            self.standing(item, role='recheck') is None
            for item in self.rechecked
        )

    def is_skipped(self, item: int, who: str = '', role: str = 'vote') -> bool:
        """Check whether an item was skipped last."""
        last = self.last(item, who, role)
        return last is not None and last.what == 'skip'

    @property
    def skipped(self) -> int:
        """Count the items that were skipped last."""
        alone = sum(map(self.is_skipped, range(self.items)))
        skips = (x for x in self._slots.values() if x.what == 'skip')
        return alone + len({x.item for x in skips if x.role == 'vote'})

    def touched(self, who: str) -> Iterable[int]:
        """Yield the items, of those that want several, a person touched."""
        return (item for item, name in self._own_revs if name == who)

    def undoing(self, who: str) -> Event | None:
        """Return the answer or skip that a person would take back next.

        What somebody else changed since is passed over.
        """
        stack = self._stacks.get(who, [])
        while stack:
            event = stack[-1]
            if self.last(event.item, who, event.role) is event:
                return event
            stack.pop()
        return None

    def undoable(self, who: str) -> int | None:
        """Return the item that :meth:`undoing` is about."""
        event = self.undoing(who)
        return None if event is None else event.item

    def seconds(self, who: str | None = None) -> Sequence[float]:
        """Return the seconds of each event, of one person or of all.

        The last event is the last one.
        """
        if who is not None:
            return self._seconds.get(who, [])
        each = (event.seconds for event in self.clients.values())
        return [one for one in each if one is not None]

    def people(self) -> list[str]:
        """Return the names of all who did something."""
        return sorted(self._stacks)

    def refusal(self, item: int, who: str, role: str = 'vote') -> str | None:
        """Explain why a person cannot answer an item; None where they can."""
        own = who if role in OWN else None
        if role == 'repeat' and not self.standing(item, who):
            return f'a repeat of no answer to item {item}'
        if role not in OWN and not self.is_full(item):
            return f'a {role} of item {item}, which is not answered'
        if role == 'vote' and self.wanted[item] == 1:
            own = None
        standing = self.standing(item, own, role)
        if role == 'vote' and not standing and self.is_full(item):
            return f'more answers to item {item} than it wants'
        return f'a second answer to item {item}' if standing else None

    def problem(self, event: Event) -> str | None:
        """Explain why an event cannot follow; None where it can."""
        item, who, role = event.item, event.who, event.role
        if not 0 <= item < self.items:
            return f'item {item}, of {self.items}'
        if event.n != self.events + 1:
            return f'event {event.n} after {self.events}'
        if role not in ROLES:
            return f'role: {role!r}'
        rev = self.rev(item, who, role)
        if event.rev != rev + 1:
            return f'revision {event.rev} of item {item} after {rev}'
        if event.what not in WHATS:
            return f'what: {event.what!r}'
        if event.client in self.clients:
            return f'client {event.client!r} twice'
        if event.what == 'undo':
            past = self.undoing(who)
            if past is None or (past.item, past.role) != (item, role):
                return f'an undo of item {item}, which is not the last'
        elif refusal := self.refusal(item, who, role):
            return refusal
        if (event.what == 'class') != (event.cls is not None):
            return f'class {event.cls} for {event.what!r}'
        if (event.what == 'mask') != (event.mask is not None):
            return f'mask {event.mask!r} for {event.what!r}'
        return None

    def apply(self, event: Event) -> None:
        """Take in the next event, for which :meth:`problem` found none."""
        item, who, role = event.item, event.who, event.role
        wanted = self.wanted[item]
        if role == 'review' or wanted > 1:
            self._own_revs[item, '' if role == 'review' else who] = event.rev
        else:
            self._revs[item] = event.rev
        if role == 'vote':
            self._vote(event, wanted)
        else:
            self._slots[_slot(item, who, role)] = event
        self.events = event.n
        self.clients[event.client] = event
        stack = self._stacks.setdefault(who, [])
        if event.what == 'undo':
            stack.pop()
        else:
            stack.append(event)
        seconds = event.seconds
        if seconds is not None:
            self._seconds.setdefault(who, []).append(seconds)

    def _vote(self, event: Event, wanted: int) -> None:
        """Take in a vote, and count it."""
        item, after = event.item, event.what in ANSWERS
        if wanted == 1:
            before = self._last[item]
            self._last[item] = event
            change = after - (before is not None and before.what in ANSWERS)
            self.answered += change
        else:
            self._slots[item, event.who, 'vote'] = event
            votes = self._votes.setdefault(item, {})
            was_full = len(votes) >= wanted
            change = after - (votes.pop(event.who, None) is not None)
            if after:
                votes[event.who] = event
            self.answered += (len(votes) >= wanted) - was_full
        self.given += change


def _slot(item: int, who: str, role: str) -> tuple[int, str, str]:
    """Name what holds one answer: of a person, or of all who may give it."""
    return item, who if role in OWN else '', role
