"""Find what several people's answers to one item come to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from segal.annotation.folder import AnnotationFolder
from segal.annotation.request import Request
from segal.annotation.state import Event, State

NO_CLASS = 255
REFUSED_LABEL = -1

DISPUTED = 0.05
"""A mask is disputed where people differ in more than this share of it."""

ReadMask = Callable[[str, tuple[int, int]], NDArray[np.uint8]]
"""SHA-256 and (h, w) -> uint8 (h, w)."""


def considered(state: State, index: int) -> list[Event]:
    """Return the answers that decide about an item, oldest first.

    A reviewer's stands alone. A second look stands alone where the item wants
    one answer, and is one more answer elsewhere.
    """
    review = state.standing(index, role='review')
    if review:
        return [review]
    recheck = state.standing(index, role='recheck')
    if recheck is None:
        return state.answers(index)
    if state.wanted[index] == 1:
        return [recheck]
    return [*state.answers(index), recheck]


def outcome(
    request: Request, state: State, index: int, read_mask: ReadMask
) -> Event | NDArray[np.int16] | None:
    """Find what the answers to an item come to.

    Returns:
        An answer without a mask; or the class of each place, int16 (N,), 255
        where there is none and -1 where it is refused; None where the item
        stays free.
    """
    events = considered(state, index)
    if not events:
        return None
    if not any(event.what == 'mask' for event in events):
        return decided(state, index)
    votes = [labels_of(request, event, read_mask) for event in events]
    if len(votes) == 1:
        return votes[0]
    labels, tie = majority(votes)
    if tie.mean() > DISPUTED and not state.is_full(index):
        return None
    return np.where(tie, REFUSED_LABEL, labels).astype(np.int16)


def decided(state: State, index: int) -> Event | None:
    """Find the answer that counts, of answers without a mask.

    Returns:
        ``'cant_tell'`` where they are tied; None where the item stays free.
    """
    events = considered(state, index)
    if not events:
        return None
    found, *others = Counter(map(said, events)).most_common(2)
    if not others or others[0][1] < found[1]:
        return next(event for event in events if said(event) == found[0])
    tied = events[0]._replace(what='cant_tell', cls=None)
    return tied if state.is_full(index) else None


def said(event: Event) -> tuple[str, int | None, str | None]:
    """Return what an answer says, to compare it with others."""
    return event.what, event.cls, event.mask


def majority(
    votes: Sequence[NDArray[np.int16]],
) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """Find the label that most gave, place by place.

    Args:
        votes: int16 (N,), labels of each person.

    Returns:
        int16 (N,), and bool (N,), where the highest two are tied.
    """
    stack = np.stack(votes)
    most = np.zeros(stack.shape[1], np.int16)
    labels = np.full_like(most, REFUSED_LABEL)
    tie = np.zeros(len(most), bool)
    for label in np.unique(stack):
        count = (stack == label).sum(0)
        tie = np.where(count > most, False, tie | (count == most))
        labels = np.where(count > most, label, labels).astype(np.int16)
        most = np.maximum(most, count).astype(np.int16)
    return labels, tie


def labels_of(
    request: Request, event: Event, read_mask: ReadMask
) -> NDArray[np.int16]:
    """Return the class of each place that an answer gives, int16 (N,).

    255 is none, -1 "can't tell". A whole image has its pixels, row by row.
    """
    item = request[event.item]
    _, _, height, width = item.box
    count = len(item.places) if item.kind != 'image' else height * width
    if event.what == 'mask':
        assert event.mask is not None
        mask = read_mask(event.mask, (height, width))
        if item.kind == 'image':
            return mask.reshape(-1).astype(np.int16)
        return mask[item.inside].astype(np.int16)
    label = NO_CLASS if event.what == 'void' else REFUSED_LABEL
    return np.full(count, label if event.cls is None else event.cls, np.int16)


def is_disputed(
    request: Request,
    state: State,
    index: int,
    read_mask: ReadMask,
    resolve: str = 'majority',
) -> bool:
    """Check whether a reviewer has to decide about an item.

    Args:
        request: What was asked.
        state: What was answered.
        index: Of the item; one that still wants answers is not disputed.
        read_mask: Reads the mask that an answer names.
        resolve: ``'majority'``: ties only; ``'reviewer'``: whatever people
            disagree about.
    """
    events = considered(state, index)
    if len(events) < 2 or not state.is_full(index):
        return False
    if not any(event.what == 'mask' for event in events):
        counts = [n for _, n in Counter(map(said, events)).most_common()]
        if resolve == 'reviewer':
            return len(counts) > 1
        return len(counts) > 1 and counts[0] == counts[1]
    if len(set(map(said, events))) == 1:
        return False
    votes = [labels_of(request, event, read_mask) for event in events]
    differ = majority(votes)[1]
    if resolve == 'reviewer':
        differ = (np.stack(votes) != votes[0]).any(0)
    return bool(differ.mean() > DISPUTED)


def disputes(
    folder: AnnotationFolder, request: Request, state: State
) -> list[int]:
    """List the items that wait for a reviewer."""
    resolve = folder.options().resolve
    return [
        index
        for index in range(len(request))
        if state.wanted[index] > 1
        and is_disputed(request, state, index, folder.read_mask, resolve)
    ]


def is_complete(
    folder: AnnotationFolder, request: Request, state: State
) -> bool:
    """Check whether a round has all that it waits for.

    All answers that are wanted, and, where a reviewer is named, a decision
    wherever people disagree.
    """
    if not state.is_complete:
        return False
    return not (folder.has_reviewer and disputes(folder, request, state))
