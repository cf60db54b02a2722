"""Turn the answers of a journal into the answers to a selection."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from segal.annotation.request import Request
from segal.annotation.state import Event, State
from segal.structures import (
    LABELLED,
    REFUSED,
    VOID,
    Answers,
    ImageAnswers,
    PixelAnswers,
    Selection,
)

_NO_CLASS = 255
_STATUS = {'void': VOID, 'cant_tell': REFUSED}

ReadMask = Callable[[str, tuple[int, int]], NDArray[np.uint8]]
"""SHA-256 and (h, w) -> uint8 (h, w)."""


def resolve(request: Request, state: State, read_mask: ReadMask) -> Answers:
    """Collect the answers that stand.

    Args:
        request: What was asked.
        state: What was answered.
        read_mask: Reads the mask that an answer names.

    Returns:
        The answers to a selection of all answered items; it is the request's
        own where all are answered. Items without an answer are left out and
        stay free; whole regions, never a part of one.
    """
    events = [state.standing(index) for index in range(len(request))]
    if request.unit == 'image':
        return _of_images(request, events, read_mask)
    content = request.content
    count = len(content.places)
    classes = np.full(count, _NO_CLASS, np.uint8)
    status = np.full(count, REFUSED, np.uint8)
    answered = np.zeros(count, bool)
    for index, event in enumerate(events):
        if event is None:
            continue
        at = request.positions(index)
        answered[at] = True
        if event.what in _STATUS:
            status[at] = _STATUS[event.what]
        elif event.what == 'class':
            assert event.cls is not None
            classes[at], status[at] = event.cls, LABELLED
        else:
            found = _masked(request, index, event, read_mask)
            classes[at] = found
            status[at] = np.where(found == _NO_CLASS, VOID, LABELLED)
    whole = request.selection()
    selection = Selection(
        whole.round, whole.unit, {}, {}, {}, answer=whole.answer
    )
    images: dict[str, PixelAnswers | ImageAnswers] = {}
    for name, row, _ in content.rows():
        kept = answered[row]
        if not kept.any():
            continue
        places = whole.places[name][kept]
        selection.places[name] = places
        if whole.scores:
            selection.scores[name] = whole.scores[name][kept]
        if whole.regions:
            regions = whole.regions[name][kept]
            _, renumbered = np.unique(regions, return_inverse=True)
            selection.regions[name] = renumbered.astype(np.int32)
        images[name] = PixelAnswers(
            places, classes[row][kept], status[row][kept]
        )
    return Answers(selection, images)


def _masked(
    request: Request, index: int, event: Event, read_mask: ReadMask
) -> NDArray[np.uint8]:
    """Read the classes of an item's places from its mask: uint8 (N,)."""
    item = request[index]
    top, left, height, width = item.box
    assert event.mask is not None
    mask = read_mask(event.mask, (height, width))
    rows, columns = np.divmod(item.places, item.size[1])
    return mask[rows - top, columns - left]


def _of_images(
    request: Request, events: list[Event | None], read_mask: ReadMask
) -> Answers:
    """Collect label maps of whole images."""
    whole = request.selection()
    selection = Selection(whole.round, whole.unit, {})
    images: dict[str, PixelAnswers | ImageAnswers] = {}
    for index, event in enumerate(events):
        if event is None:
            continue
        name, height, width = request.content.images[index]
        size = (height, width)
        selection.places[name] = whole.places[name]
        if whole.scores:
            selection.scores[name] = whole.scores[name]
        label_map: NDArray[np.uint8] | None = None
        if event.what == 'mask':
            assert event.mask is not None
            label_map = read_mask(event.mask, size)
        elif event.what != 'cant_tell':
            known = event.cls if event.what == 'class' else _NO_CLASS
            assert known is not None
            label_map = np.full(size, known, np.uint8)
        images[name] = ImageAnswers(label_map)
    return Answers(selection, images)
