"""Decide which items a page shows next."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from segal.annotation.request import Request
from segal.annotation.state import ANSWERS, State
from segal.seeding import key, place_keys

LEASE_SECONDS = 600.0


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


class Queue:
    """The open items of a request, in order; the skipped ones come last.

    Not thread-safe.

    Args:
        order: int64 (N,), from :func:`order_of`.
        state: What is answered; :meth:`update` follows its changes.
        clock: Seconds.
    """

    def __init__(
        self,
        order: NDArray[np.int64],
        state: State,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.order = order
        self.state = state
        self.clock = clock
        self._rank = np.argsort(order)
        last = [state.last(item) for item in range(len(order))]
        is_open = [one is None or one.what not in ANSWERS for one in last]
        skipped = [one.n if one and one.what == 'skip' else 0 for one in last]
        self._open = np.array(is_open, bool)[order]  # by rank
        self._skip = np.array(skipped, np.int64)[order]  # event's number
        self._leases: dict[int, Lease] = {}

    @property
    def skipped(self) -> int:
        """Count the open items that were skipped last."""
        return int(np.count_nonzero(self._skip))

    def update(self, item: int) -> None:
        """Take in an event of an item; nobody has it on the screen any more.

        Args:
            item: Which one.
        """
        rank, last = self._rank[item], self.state.last(item)
        skipped = self.state.is_skipped(item)
        self._open[rank] = self.state.standing(item) is None
        self._skip[rank] = last.n if last and skipped else 0
        self._leases.pop(item, None)

    def lease(self, item: int, who: str, tab: str = '') -> None:
        """Keep an item for a person, in one tab or in any."""
        until = self.clock() + LEASE_SECONDS
        self._leases[item] = Lease(who, tab, until)

    def _upcoming(self) -> Iterator[int]:
        """Yield the open items in order; last the skipped ones, as skipped."""
        fresh = np.flatnonzero(self._open & (self._skip == 0))
        yield from map(int, self.order[fresh])
        skipped = np.flatnonzero(self._skip)
        skipped = skipped[np.argsort(self._skip[skipped])]
        yield from map(int, self.order[skipped])

    def next(self, who: str, tab: str, count: int) -> list[int]:
        """Return the next items of a tab, and lease them to it.

        Items on the screens of other people are left out. Items in other
        tabs of the same person, which may have been closed, are shown where
        nothing else is left.
        """
        now = self.clock()
        found: list[int] = []
        elsewhere: list[int] = []
        for item in self._upcoming():
            if len(found) == count:
                break
            lease = self._leases.get(item)
            if lease is None or lease.until <= now:
                found.append(item)
            elif lease.who == who:
                ours = lease.tab in ('', tab)
                (found if ours else elsewhere).append(item)
        found = found or elsewhere[:count]
        for item in found:
            self.lease(item, who, tab)
        return found

    def later(self, count: int) -> list[int]:
        """Return the next items that nobody has on the screen."""
        found: list[int] = []
        for item in self._upcoming():
            if len(found) == count:
                break
            if item not in self._leases:
                found.append(item)
        return found
