"""Keep the items that people disagree about, for a reviewer."""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import NamedTuple

from segal.annotation.folder import AnnotationFolder
from segal.annotation.request import Request
from segal.annotation.state import Event, State
from segal.annotation.votes import is_disputed
from segal.seeding import key


class Vote(NamedTuple):
    """An answer as a reviewer sees it.

    Attributes:
        letter: In place of the name; another one in each item.
        event: The answer.
    """

    letter: str
    event: Event


@dataclass(eq=False)
class Reviews:
    """The disputed items of a round.

    Masks are compared when somebody asks, not before.
    """

    folder: AnnotationFolder
    request: Request
    state: State

    def __post_init__(self) -> None:
        state = self.state
        self.options = self.folder.options()
        self._unseen = {
            item for item in range(state.items) if state.wanted[item] > 1
        }
        self._open: set[int] = set()

    def update(self, item: int) -> None:
        """Take in an event of an item."""
        if self.state.wanted[item] > 1:
            self._open.discard(item)
            self._unseen.add(item)

    def open(self) -> list[int]:
        """List the items that wait, those that were skipped last."""
        while self._unseen:
            item = self._unseen.pop()
            if is_disputed(
                self.request,
                self.state,
                item,
                self.folder.read_mask,
                self.options.resolve,
            ):
                self._open.add(item)

        def skipped(item: int) -> int:
            last = self.state.last(item, role='review')
            return last.n if last and last.what == 'skip' else 0

        return sorted(self._open, key=lambda item: (skipped(item), item))

    def votes(self, item: int) -> list[Vote]:
        """Return the answers to an item, without names, in a drawn order."""
        drawn = sorted(
            self.state.answers(item),
            key=lambda event: key(self.options.seed, item, event.who),
        )
        letters = string.ascii_uppercase
        return [
            Vote(letters[place % 26], event)
            for place, event in enumerate(drawn)
        ]
