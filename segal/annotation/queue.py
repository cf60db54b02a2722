"""Decide which items a page shows next."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from segal.annotation.folder import AnnotationFolder
from segal.annotation.request import Request
from segal.annotation.shares import is_repeated, shares
from segal.annotation.state import ANSWERS, Event, State
from segal.seeding import key, place_keys

LEASE_SECONDS = 600.0
TAKEN_OVER = 3
"""Items of others that a person gets at once; they may come back to them."""

REPEAT_AFTER = 20
"""Answers of a person before one is asked once more, where others are left."""


class Lease(NamedTuple):
    """An item that somebody has on the screen.

    Attributes:
        who: Name of the person.
        tab: Of the browser; empty: any tab of the person.
        until: By the clock of the queue.
    """

    who: str
    tab: str
    until: float


def order_of(
    request: Request, order: str = 'image', seed: int = 0
) -> NDArray[np.int64]:
    """Return the items in the order in which they are shown, int64 (N,).

    Args:
        request: What is asked.
        order: ``'image'``: image by image; ``'score'``: the highest first;
            ``'shuffled'``: by a keyed draw.
        seed: Of the draw.
    """
    items = np.arange(len(request))
    if order == 'score':
        scores = [request[int(i)].score for i in items]
        known = [-np.inf if one is None else one for one in scores]
        return np.argsort(-np.array(known), kind='stable')
    if order == 'shuffled':
        stream = key(seed, request.round, 'annotation')
        return np.argsort(place_keys(stream, items), kind='stable')
    return items


def queue_of(
    folder: AnnotationFolder, request: Request, state: State
) -> Queue:
    """Make the queue of a round, for the people who may answer."""
    options = folder.options()
    roles = folder.people()
    people = [name for name, role in roles.items() if role == 'annotator']

    def share(who: str) -> NDArray[np.bool_]:
        if who not in people:
            return np.ones(len(request), bool)
        return shares(request, options, people)[people.index(who)]

    return Queue(
        order_of(request, options.order, options.seed),
        state,
        share=share,
        repeats=lambda who: is_repeated(request, options, who),
        people=people,
        own_first=options.measures,
    )


@dataclass(eq=False)
class View:
    """What one person may be shown, by rank in the order of the items.

    Attributes:
        open: bool (N,), wants an answer of this person.
        skip: int64 (N,), number of the event that skipped it last, else 0.
        own: bool (N,), of the person's share; others follow these.
        repeats: bool (N,), asked once more after an answer.
        answered: Item -> how many answers the person had given before it,
            of the items to repeat.
        given: Answers of the person.
    """

    open: NDArray[np.bool_]
    skip: NDArray[np.int64]
    own: NDArray[np.bool_]
    repeats: NDArray[np.bool_]
    answered: dict[int, int] = field(default_factory=dict)
    given: int = 0


class Queue:
    """The open items of a request, in order; the skipped ones come last.

    A person gets the items of their own share first, then what others have
    left. Items that want several answers are open to each person who has not
    answered, until they have all of them. Not thread-safe.

    Args:
        order: int64 (N,), from :func:`order_of`.
        state: What is answered; :meth:`update` follows its changes.
        clock: Seconds.
        share: Name -> bool (N,), the items of a person; all by default.
        repeats: Name -> bool (N,), the items that a person is asked twice;
            none by default.
        people: Names of all who may answer.
        own_first: Whether a page shows a person's own share first; else all
            take the next item.
    """

    def __init__(
        self,
        order: NDArray[np.int64],
        state: State,
        clock: Callable[[], float] = time.monotonic,
        share: Callable[[str], NDArray[np.bool_]] | None = None,
        repeats: Callable[[str], NDArray[np.bool_]] | None = None,
        people: Collection[str] = (),
        own_first: bool = True,
    ) -> None:
        self.order = order
        self.state = state
        self.clock = clock
        self.people = people
        self.own_first = own_first
        count = len(order)
        self._share = share or (lambda _: np.ones(count, bool))
        self._repeats = repeats or (lambda _: np.zeros(count, bool))
        self._rank = np.argsort(order)
        full = [state.is_full(item) for item in range(count)]
        self._open = ~np.array(full, bool)[order]  # by rank
        self._skip = np.zeros(count, np.int64)
        for item in range(count):
            if state.wanted[item] == 1 and state.is_skipped(item):
                self._note_skip(self._skip, item, '')
        self._views: dict[str, View] = {}
        self._leases: dict[int, dict[str, Lease]] = {}

    def _note_skip(
        self, skip: NDArray[np.int64], item: int, who: str, role: str = 'vote'
    ) -> None:
        last = self.state.last(item, who, role)
        skipped = last is not None and last.what == 'skip'
        skip[self._rank[item]] = last.n if last and skipped else 0

    @property
    def skipped(self) -> int:
        """Count the open items that were skipped last."""
        return int(np.count_nonzero(self._skip))

    def view(self, who: str) -> View:
        """Return what a person may be shown."""
        view = self._views.get(who)
        if view is None:
            order = self.order
            view = self._views[who] = View(
                self._open.copy(),
                self._skip.copy(),
                self._share(who)[order],
                self._repeats(who)[order],
            )
            for item in self.state.touched(who):
                self._look(view, item, who)
            for item in self.state.rechecked:
                self._look(view, item, who)
            self._read_past(view, who)
        return view

    def _read_past(self, view: View, who: str) -> None:
        """Find which answers of a person can be repeated, and how old."""
        if not view.repeats.any():
            return
        for event in self.state.clients.values():
            if event.who == who:
                self._count(view, event)

    def _count(self, view: View, event: Event) -> None:
        if event.what in ANSWERS and event.role == 'vote':
            view.given += 1
            if view.repeats[self._rank[event.item]]:
                view.answered[event.item] = view.given

    def role(self, item: int, who: str) -> str:
        """Return what an answer of a person to an item would be for."""
        state = self.state
        if item in state.rechecked and state.is_full(item):
            answered = {one.who for one in state.answers(item)}
            if who not in answered or answered.issuperset(self.people):
                return 'recheck'
        if state.standing(item, who) and item in self.view(who).answered:
            return 'repeat'
        return 'vote'

    def _look(self, view: View, item: int, who: str) -> None:
        """See anew whether an item is open to a person."""
        rank, role = self._rank[item], self.role(item, who)
        refused = role == 'repeat' or self.state.refusal(item, who, role)
        view.open[rank] = not refused
        view.skip[rank] = 0
        if not refused:
            self._note_skip(view.skip, item, who, role)

    def recheck(self, items: Collection[int]) -> None:
        """Ask for items once more whose answers are all given."""
        self.state.rechecked = set(items)
        for name, view in self._views.items():
            for item in items:
                self._look(view, item, name)

    def update(self, item: int, event: Event | None = None) -> None:
        """Take in an event of an item; its person has it on no screen now.

        Args:
            item: Which one.
            event: What was done; needed where it wants several answers.
        """
        self._open[self._rank[item]] = not self.state.is_full(item)
        if self.state.wanted[item] == 1:
            self._note_skip(self._skip, item, '')
            self._leases.pop(item, None)
        else:
            self._leases.get(item, {}).pop(event.who if event else '', None)
        for name, view in self._views.items():
            self._look(view, item, name)
        if event and event.who in self._views:
            self._count(self._views[event.who], event)

    def lease(self, item: int, who: str, tab: str = '') -> None:
        """Keep an item for a person, in one tab or in any."""
        until = self.clock() + LEASE_SECONDS
        self._leases.setdefault(item, {})[who] = Lease(who, tab, until)

    def _upcoming(self, view: View) -> Iterator[int]:
        """Yield the open items in order; last the skipped ones, as skipped."""
        fresh = view.open & (view.skip == 0)
        if self.own_first:
            fresh &= view.own
        yield from map(int, self.order[np.flatnonzero(fresh)])
        skipped = np.flatnonzero(view.skip)
        skipped = skipped[np.argsort(view.skip[skipped])]
        yield from map(int, self.order[skipped])

    def _left_by_others(self, view: View) -> Iterator[int]:
        """Yield the open items of others, the last ones first."""
        if self.own_first:
            fresh = view.open & (view.skip == 0) & ~view.own
            yield from map(int, self.order[np.flatnonzero(fresh)][::-1])

    def _due(self, view: View, who: str, old: int) -> Iterator[int]:
        """Yield the answers of a person that are asked once more now."""
        for item, before in view.answered.items():
            last = self.state.last(item, who, 'repeat')
            asked = last is not None and last.what != 'undo'
            if view.given - before < old or asked:
                continue
            if not self.state.refusal(item, who, 'repeat'):
                yield item

    def next(self, who: str, tab: str, count: int) -> list[int]:
        """Return the next items of a tab, and lease them to it.

        Items on the screens of as many other people as they want answers are
        left out. Items in other tabs of the same person, which may have been
        closed, are shown where nothing else is left.
        """
        now = self.clock()
        view = self.view(who)
        found: list[int] = []
        elsewhere: list[int] = []
        for item in chain(
            self._due(view, who, REPEAT_AFTER),
            self._upcoming(view),
            self._due(view, who, 0),
        ):
            if len(found) == count:
                break
            if item in found or self._is_taken(item, who, now):
                continue
            lease = self._leases.get(item, {}).get(who)
            ours = lease is None or lease.until <= now
            ours = ours or (lease is not None and lease.tab in ('', tab))
            (found if ours else elsewhere).append(item)
        found = found or elsewhere[:count] or self._taken_over(view, who, now)
        for item in found:
            self.lease(item, who, tab)
        return found

    def _taken_over(self, view: View, who: str, now: float) -> list[int]:
        """Return a few items of others, for a person who has none left."""
        left = self._left_by_others(view)
        free = (item for item in left if not self._is_taken(item, who, now))
        return list(islice(free, TAKEN_OVER))

    def _is_taken(self, item: int, who: str, now: float) -> bool:
        """Check whether others have on their screens all that is wanted."""
        leases = self._leases.get(item)
        if not leases or self.role(item, who) == 'repeat':
            return False
        others = sum(
            one.until > now and name != who for name, one in leases.items()
        )
        missing = self.state.wanted[item] - len(self.state.answers(item))
        return others >= max(1, missing)

    def later(self, count: int) -> list[int]:
        """Return the next items that nobody has on the screen."""
        found: list[int] = []
        view = View(
            self._open, self._skip, np.ones_like(self._open), self._open
        )
        for item in self._upcoming(view):
            if len(found) == count:
                break
            if not self._leases.get(item):
                found.append(item)
        return found

    def shared(self, who: str) -> list[int]:
        """Return the open items of a person's share, in order.

        Without second looks, which only the page asks for.
        """
        view = self.view(who)
        own = view.own[self._rank]
        return [
            item
            for item in self._upcoming(view)
            if own[item] and not self.state.is_full(item)
        ]

    def left(self, who: str) -> tuple[int, int]:
        """Count the items that are open to a person: own ones, and all."""
        view = self.view(who)
        own = np.count_nonzero(view.open & view.own)
        return int(own), int(np.count_nonzero(view.open))
