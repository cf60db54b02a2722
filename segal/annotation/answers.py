"""Turn what a person answers into the next event of a journal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from segal.annotation.state import ANSWERS, Event, State
from segal.errors import SegALError


class Conflict(SegALError):  # noqa: N818
    """Somebody else was there before.

    Attributes:
        rev: Revision of the item.
        standing: The answer that stands in its place; None: none does.
        is_full: Whether others have given all the answers that it wants.
    """

    def __init__(
        self, rev: int, standing: Event | None, is_full: bool = False
    ) -> None:
        said = 'it was changed in the meantime'
        if standing:
            said = f'it was answered by {standing.who!r} in the meantime'
        elif is_full:
            said = 'enough other people have answered it in the meantime'
        super().__init__(said)
        self.rev = rev
        self.standing = standing
        self.is_full = is_full


class Closed(SegALError):  # noqa: N818
    """The round takes no answers any more."""


class Answer(NamedTuple):
    """What a person did, before it is an event; see :class:`Event`.

    Attributes:
        rev: Revision of the item that the person saw.
    """

    item: int
    rev: int
    who: str
    what: str
    cls: int | None = None
    mask: str | None = None
    ms: int | None = None
    client: str = ''
    hidden_ms: int = 0
    hint: int | None = None
    role: str = 'vote'


def judge(
    state: State,
    classes: int,
    answer: Answer,
    check: Callable[[], None] = lambda: None,
) -> Event:
    """Turn an answer into the next event.

    Args:
        state: What was answered before; it is not changed.
        classes: How many there are.
        answer: What came.
        check: Raises where no further answer may be written.

    Returns:
        The event. One whose ``n`` is not above ``state.events`` was written
        before, with the same client number.

    Raises:
        Conflict: The item has another revision, or wants no answer of this
            person any more.
        ValueError: The answer makes no sense.
    """
    item, client = answer.item, answer.client
    known = state.clients.get(client)
    if known is not None:
        same = (known.item, known.who, known.what, known.cls, known.mask)
        if same != (item, *answer[2:6]):
            raise ValueError(f'client {client!r} was another answer')
        return known
    check()
    if not 0 <= item < state.items:
        raise ValueError(f'item {item}, of {state.items}')
    if not is_class(answer.cls, classes):
        raise ValueError(f'class {answer.cls}, of {classes}')
    who, role, undoes = answer.who, answer.role, answer.what == 'undo'
    past = state.undoing(who) if undoes else None
    if past and past.item == item:
        role = past.role
    now = state.rev(item, who, role)
    if answer.rev != now or (
        not undoes and state.refusal(item, who, role) is not None
    ):
        last = state.last(item, who, role)
        stands = last if last and last.what in ANSWERS else None
        raise Conflict(now, stands, state.is_full(item))
    at = datetime.now(UTC).isoformat(timespec='milliseconds')
    fields = answer._replace(rev=now + 1, role=role)._asdict()
    event = Event(n=state.events + 1, at=at, **fields)
    problem = state.problem(event)
    if problem:
        raise ValueError(problem)
    return event


def is_class(cls: int | None, classes: int) -> bool:
    """Check that a class exists, or that none was named."""
    return cls is None or 0 <= cls < classes
