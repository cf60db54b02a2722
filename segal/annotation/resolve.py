"""Turn the answers of a journal into the answers to a selection.

Where several people answered, a reviewer's decision counts, else the answer
of most, pixel by pixel in masks. "Can't tell" is an answer like any other. A
tie is refused. In a round that was closed early, an item counts once it has
an answer, but for one that is disputed and still wants answers: it stays
free.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from segal.annotation.request import Request
from segal.annotation.state import Event, State
from segal.annotation.votes import NO_CLASS, REFUSED_LABEL, ReadMask, outcome
from segal.structures import (
    LABELLED,
    REFUSED,
    VOID,
    Answers,
    ImageAnswers,
    PixelAnswers,
    Selection,
)

_STATUS = {'void': VOID, 'cant_tell': REFUSED}


def resolve(request: Request, state: State, read_mask: ReadMask) -> Answers:
    """Collect the answers that stand.

    Returns:
        The answers to a selection of all answered items; it is the request's
        own where all are answered. Items without an answer are left out and
        stay free; whole regions, never a part of one.
    """
    events = (
        outcome(request, state, index, read_mask)
        for index in range(len(request))
    )
    if request.unit == 'image':
        return _of_images(request, events)
    content = request.content
    count = len(content.places)
    classes = np.full(count, NO_CLASS, np.uint8)
    status = np.full(count, REFUSED, np.uint8)
    answered = np.zeros(count, bool)
    for index, event in enumerate(events):
        if event is None:
            continue
        at = request.positions(index)
        answered[at] = True
        if not isinstance(event, Event):
            classes[at] = np.where(event == REFUSED_LABEL, NO_CLASS, event)
            status[at] = np.where(event == NO_CLASS, VOID, LABELLED)
            status[at[event == REFUSED_LABEL]] = REFUSED
        elif event.what in _STATUS:
            status[at] = _STATUS[event.what]
        else:
            assert event.cls is not None
            classes[at], status[at] = event.cls, LABELLED
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


def _of_images(
    request: Request, events: Iterable[Event | NDArray[np.int16] | None]
) -> Answers:
    """Collect label maps of whole images; a pixel that is tied has none."""
    whole = request.selection()
    selection = Selection(whole.round, whole.unit, {})
    images: dict[str, PixelAnswers | ImageAnswers] = {}
    for index, event in enumerate(events):
        if event is None:
            continue
        name, height, width = request.content.images[index]
        selection.places[name] = whole.places[name]
        if whole.scores:
            selection.scores[name] = whole.scores[name]
        label_map: NDArray[np.uint8] | None = None
        if not isinstance(event, Event):
            known = event[event != REFUSED_LABEL]
            if len(known):
                label_map = np.full(event.shape, NO_CLASS, np.uint8)
                label_map[event != REFUSED_LABEL] = known
                label_map = label_map.reshape(height, width)
        elif event.what != 'cant_tell':
            cls = NO_CLASS if event.cls is None else event.cls
            label_map = np.full((height, width), cls, np.uint8)
        images[name] = ImageAnswers(label_map)
    return Answers(selection, images)
