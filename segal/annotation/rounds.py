"""Answer, undo and count within the round that is asked now.

Everything here touches the journal or its state; one thread does it all, so
that no two requests see a half of a change.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

from segal.annotation.answers import Closed, Conflict
from segal.annotation.bodies import RefusedError, nonsense
from segal.annotation.crops import Crops, crop_box
from segal.annotation.folder import AnnotationFolder
from segal.annotation.label_errors import decide_rechecks
from segal.annotation.measure import median_seconds
from segal.annotation.predictions import Suggestions
from segal.annotation.queue import queue_of
from segal.annotation.request import Item
from segal.annotation.reviews import Reviews
from segal.annotation.state import ANSWERS, Event
from segal.errors import StateError

log = logging.getLogger(__name__)

COUNTED = ('vote', 'recheck', 'review')
"""Roles of answers that count as a person's own; repeats do not."""

OVER = 'this round takes no answers any more; another one may be asked soon'

ONLY_REVIEWERS = 'only a reviewer sees what others said'

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
        self.journal = folder.journal(self.request, self.classes)
        self.options = folder.options()
        self.state = self.journal.state
        self.roles = folder.people()
        self.queue = queue_of(folder, self.request, self.state)
        if max(self.state.wanted, default=1) > len(self.queue.people):
            self._warn()
        self.reviews = Reviews(folder, self.request, self.state)
        self.suggestions = Suggestions(folder, self.request)
        self.undone: dict[tuple[int, str], Event] = {}
        events = self.state.clients.values()
        self.mine = Counter(
            event.who
            for event in events
            if event.role in COUNTED and self.state.stands(event)
        )
        self._recheck()

    def _recheck(self) -> None:
        """Ask for doubtful answers once more, once all are given."""
        try:
            found = decide_rechecks(self.folder, self.request, self.state)
        except StateError as error:  # it stops the run, not the page
            log.error('%s', error)
            return
        if found != self.state.rechecked:
            self.queue.recheck(found)

    def _warn(self) -> None:
        """Say that there are fewer people than answers to an item."""
        people = len(self.queue.people)
        if people:
            log.warning(
                'round %d wants %d answers to an item, each by another '
                'person, but only %d may answer: name more with --annotator, '
                'or close the round when all that they can is answered',
                self.round,
                max(self.state.wanted),
                people,
            )

    def is_reviewer(self, who: str) -> bool:
        """Check whether a person decides, rather than answers."""
        return self.roles.get(who) == 'reviewer'

    def role(self, index: int, who: str) -> str:
        """Return what an answer of a person to an item is for."""
        if self.is_reviewer(who):
            return 'review'
        return self.queue.role(index, who)

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

    def shown(self, index: int, who: str) -> dict[str, Any]:
        """Describe an item as the pages of a person get it."""
        item, role = self.request[index], self.role(index, who)
        found = row_of(
            item,
            self.state.rev(index, who, role),
            self.state.is_skipped(index, who, role),
        )
        if role == 'review':
            found['votes'] = [
                dict(letter=letter, what=event.what, **{'class': event.cls})
                for letter, event in self.reviews.votes(index)
            ]
        elif role != 'vote':
            found['anew'] = True  # nothing of the answer before is shown
        if hint := self._hint(index, role):
            found['hint'] = hint
        return found

    def _hint(self, index: int, role: str) -> list[int]:
        """Return the classes that are suggested, the likeliest first."""
        suggested = role in ('vote', 'repeat')
        return self.suggestions.of(index) if suggested else []

    @property
    def open(self) -> int:
        """Count the answers and decisions that the round waits for."""
        missing = self.state.total - self.state.given
        missing += self.state.recheck_left
        reviewed = 'reviewer' in self.roles.values()
        return missing + (len(self.reviews.open()) if reviewed else 0)

    def next(self, who: str, tab: str, count: int) -> dict[str, Any]:
        """Lease the next items to a tab, and decode those after them."""
        later: list[int] = []
        if self.is_reviewer(who):
            found = self.reviews.open()[:count]
        else:
            found = self.queue.next(who, tab, count)
            later = self.queue.later(count)
        content = self.request.content.images
        self.crops.prefetch(
            content[self.request.image_of(index)][0]
            for index in [*found, *later]
        )
        return dict(
            request=self.request.sha256,
            open=self.open,
            items=[self.shown(index, who) for index in found],
        )

    def progress(self, who: str) -> dict[str, Any]:
        """Count what is done, and estimate what is left."""
        again = len(self.state.rechecked)
        total = self.state.total + again
        answered = self.state.given + again - self.state.recheck_left
        left, more = total - answered, {}
        each = median_seconds(self.state, who)
        if self.is_reviewer(who):
            answered = self.mine[who]
            left = len(self.reviews.open())
            total = answered + left
        elif self.options.measures:
            own, more['yours'] = self.queue.left(who)
            left = own or more['yours']
        return dict(
            total=total,
            answered=answered,
            skipped=self.queue.skipped,
            mine=self.mine[who],
            seconds_per_answer=each,
            seconds_left=None if each is None else each * left,
            undoable=self.state.undoable(who) is not None,
            **more,
        )

    def answer(self, who: str, answer: dict[str, Any]) -> dict[str, Any]:
        """Write an answer; it is on disk when this returns."""
        self.check_item(answer['item'])
        fields = {k: v for k, v in answer.items() if k != 'request'}
        role = self.role(answer['item'], who)
        hint = answer['hint']
        known = hint is None or answer['client'] in self.state.clients
        if not known and [hint] != self._hint(answer['item'], role)[:1]:
            raise nonsense('hint: wanted what was suggested for this item')
        event = self._append(who=who, role=role, **fields)
        reviews = self.is_reviewer(who)
        answered = self.mine[who] if reviews else self.state.given
        return dict(rev=event.rev, answered=answered)

    def undo(self, who: str, client: str) -> dict[str, Any]:
        """Reopen the last answer of a person that still stands."""
        known = self.state.clients.get(client)
        past = known or self.state.undoing(who)
        if past is None:
            return dict(item=None, was=None)
        if known and (known.what != 'undo' or known.who != who):
            raise nonsense('client: wanted a new number, got one in use')
        if not known:
            self._append(
                item=past.item,
                rev=self.state.rev(past.item, who, past.role),
                who=who,
                what='undo',
                client=client,
            )
            if past.role != 'review':
                self.queue.lease(past.item, who)
        before = self.undone.get((past.item, who))
        return dict(
            item=self.shown(past.item, who),
            was=dict(what=before.what, **{'class': before.cls})
            if before
            else None,
        )

    def mask(self, index: int, who: str) -> str | None:
        """Return the SHA-256 of a person's mask of an item.

        It is the mask that stands, or the one whose answer was undone last.
        """
        role = 'review' if self.is_reviewer(who) else 'vote'
        event = self.state.standing(index, who, role)
        event = event or self.undone.get((index, who))
        return event.mask if event else None

    def vote(self, index: int, letter: str, who: str) -> str | None:
        """Return the SHA-256 of the mask that a reviewer compares."""
        if not self.is_reviewer(who):
            raise RefusedError(403, ONLY_REVIEWERS)
        for vote in self.reviews.votes(index):
            if vote.letter == letter:
                return vote.event.mask
        return None

    def _append(self, *, client: str, who: str, **fields: Any) -> Event:
        """Write an event, and follow it in the queue and the counts."""
        events, before = self.state.events, self.state.undoing(who)
        try:
            event = self.journal.append(who=who, client=client, **fields)
        except Conflict as error:
            raise _conflict(error, who) from error
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
        self.queue.update(event.item, event)
        if self.state.answered == self.state.items:
            self._recheck()
        self.reviews.update(event.item)
        counts = event.role in COUNTED
        self.mine[who] += counts and event.what in ANSWERS
        self.undone.pop((event.item, who), None)
        if event.what == 'undo' and before:
            self.undone[event.item, who] = before
            self.mine[who] -= counts and before.what in ANSWERS
        return event


def _conflict(error: Conflict, who: str) -> RefusedError:
    """Tell a page why its answer does not count, not what others said."""
    event, standing = error.standing, None
    if event:
        own = event.who == who
        standing = dict(
            what=event.what if own else None,
            who=event.who,
            **{'class': event.cls if own else None},
        )
    return RefusedError(
        409,
        str(error),
        rev=error.rev,
        standing=standing,
        **(dict(full=True) if error.is_full and not standing else {}),
    )
