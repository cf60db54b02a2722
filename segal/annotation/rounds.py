"""Answer, undo and count within the round that is asked now.

Everything here touches the journal or its state; one thread does it all, so
that no two requests see a half of a change.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

from segal.annotation.bodies import RefusedError, nonsense
from segal.annotation.crops import Crops, crop_box
from segal.annotation.folder import AnnotationFolder
from segal.annotation.journal import Closed, Conflict
from segal.annotation.measure import median_seconds
from segal.annotation.queue import Queue, order_of
from segal.annotation.request import Item
from segal.annotation.state import ANSWERS, Event
from segal.errors import StateError

log = logging.getLogger(__name__)

OVER = 'this round takes no answers any more; another one may be asked soon'

UNWRITTEN = (
    'the answer could not be written to disk, and does not count; the '
    'terminal of the server says why'
)


def row_of(item: Item, rev: int, is_skipped: bool) -> dict[str, Any]:
    """Describe an item as pages get it."""
    return dict(
        item=item.index,
        rev=rev,
        image=item.image,
        size=item.size,
        kind=item.kind,
        answer=item.answer,
        box=item.box,
        crop=crop_box(item),
        skipped=is_skipped,
    )


class Asked:
    """A round that is open: request, journal, queue and pictures.

    Args:
        folder: Of the work_dir.
        round: Its number.
        crops: The pictures of the pool.

    Raises:
        StateError: The request or the journal is damaged.
    """

    def __init__(
        self, folder: AnnotationFolder, round: int, crops: Crops
    ) -> None:
        self.folder = folder
        self.round = round
        self.crops = crops
        self.classes = len(crops.pool.classes)
        self.request = folder.request(round)
        self.journal = folder.journal(round, self.request, self.classes)
        options = folder.options()
        order = order_of(self.request, options['order'], options['seed'])
        self.state = self.journal.state
        self.queue = Queue(order, self.state)
        self.undone: dict[int, Event] = {}
        standing = map(self.state.standing, range(len(self.request)))
        self.mine = Counter(event.who for event in standing if event)

    def item(self, index: int) -> Item:
        """Return an item.

        Raises:
            RefusedError: There is no such item (404).
        """
        self.check_item(index)
        return self.request[index]

    def check_item(self, index: int) -> None:
        """Check that an item is one of the request.

        Raises:
            RefusedError: There is no such item (404).
        """
        if index >= self.state.items:
            raise RefusedError(404, f'there is no item {index}')

    def shown(self, index: int) -> dict[str, Any]:
        """Describe an item as pages get it."""
        state = self.state
        return row_of(
            self.request[index], state.rev(index), state.is_skipped(index)
        )

    def next(self, who: str, tab: str, count: int) -> dict[str, Any]:
        """Lease the next items to a tab, and decode those after them."""
        found = self.queue.next(who, tab, count)
        content = self.request.content.images
        self.crops.prefetch(
            content[self.request.image_of(index)][0]
            for index in [*found, *self.queue.later(count)]
        )
        return dict(
            request=self.request.sha256,
            open=self.state.items - self.state.answered,
            items=list(map(self.shown, found)),
        )

    def progress(self, who: str) -> dict[str, Any]:
        """Count what is done, and estimate what is left."""
        total, answered = self.state.items, self.state.answered
        each = median_seconds(self.state, who)
        return dict(
            total=total,
            answered=answered,
            skipped=self.queue.skipped,
            mine=self.mine[who],
            seconds_per_answer=each,
            seconds_left=None if each is None else each * (total - answered),
            undoable=self.state.undoable(who) is not None,
        )

    def answer(self, who: str, answer: dict[str, Any]) -> dict[str, Any]:
        """Write an answer; it is on disk when this returns.

        Args:
            who: Name of the person.
            answer: From :func:`segal.annotation.bodies.parse_answer`; its
                mask was checked.
        """
        self.check_item(answer['item'])
        fields = {k: v for k, v in answer.items() if k != 'request'}
        event = self._append(who=who, **fields)
        return dict(rev=event.rev, answered=self.state.answered)

    def undo(self, who: str, client: str) -> dict[str, Any]:
        """Reopen the last answer of a person that still stands."""
        known = self.state.clients.get(client)
        index = known.item if known else self.state.undoable(who)
        if index is None:
            return dict(item=None, was=None)
        if known and (known.what != 'undo' or known.who != who):
            raise nonsense('client: wanted a new number, got one in use')
        if not known:
            rev = self.state.rev(index)
            self._append(
                item=index, rev=rev, who=who, what='undo', client=client
            )
            self.queue.lease(index, who)
        before = self.undone.get(index)
        return dict(
            item=self.shown(index),
            was=dict(what=before.what, **{'class': before.cls})
            if before
            else None,
        )

    def mask(self, index: int) -> str | None:
        """Return the SHA-256 of the mask of an item.

        It is the mask that stands, or the one whose answer was undone last.
        """
        event = self.state.standing(index) or self.undone.get(index)
        return event.mask if event else None

    def _append(self, *, client: str, who: str, **fields: Any) -> Event:
        """Write an event, and follow it in the queue and the counts."""
        before, events = self.state.last(fields['item']), self.state.events
        try:
            event = self.journal.append(who=who, client=client, **fields)
        except Conflict as error:
            raise _conflict(error) from error
        except Closed as error:
            sealed = self.folder.is_sealed(self.round)
            raise RefusedError(410 if sealed else 423, OVER) from error
        except ValueError as error:
            raise nonsense(str(error)) from error
        except StateError as error:
            log.error('%s', error)
            raise RefusedError(507, UNWRITTEN) from error
        if self.state.events == events:
            return event  # it was written before
        self.queue.update(event.item)
        self.mine[who] += event.what in ANSWERS
        self.undone.pop(event.item, None)
        if event.what == 'undo' and before:
            self.undone[event.item] = before
            self.mine[who] -= before.what in ANSWERS
        return event


def _conflict(error: Conflict) -> RefusedError:
    """Tell a page which answer stands."""
    standing = error.standing
    return RefusedError(
        409,
        str(error),
        rev=error.rev,
        standing=standing
        and {
            'what': standing.what,
            'class': standing.cls,
            'who': standing.who,
        },
    )
