"""Measure what answers take: rates, time left, and prices of requests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from segal.annotation.request import Request
from segal.annotation.state import Event, State

RECENT = 50
"""Of so many last answers the median is taken for the time left."""

FEWEST = 3
"""Answers that the median needs."""

TRIMMED = 0.1
"""This share of the shortest and of the longest times does not count."""

RESAMPLES = 2000


class Price(NamedTuple):
    """The seconds that one kind of request takes.

    Attributes:
        seconds: Trimmed mean.
        low: Of its 95 % interval, by bootstrap.
        high: Of the same.
        answers: So many were measured.
    """

    seconds: float
    low: float
    high: float
    answers: int


class Pace(NamedTuple):
    """How far one person is.

    Attributes:
        who: Their name.
        answered: Standing answers.
        seconds_per_answer: Median of the last ones; None while unknown.
        minutes: Spent so far.
    """

    who: str
    answered: int
    seconds_per_answer: float | None
    minutes: float


def median_seconds(state: State, who: str | None = None) -> float | None:
    """Return the median seconds of a person's last answers.

    Args:
        state: Of the round.
        who: Their name; None: of everybody's.
    """
    recent = state.seconds(who)[-RECENT:]
    return float(np.median(recent)) if len(recent) >= FEWEST else None


def paces(state: State) -> list[Pace]:
    """Return how far each person is, by name."""
    answered = dict.fromkeys(state.people(), 0)
    for event in state.clients.values():
        answered[event.who] += event.role != 'repeat' and state.stands(event)
    return [
        Pace(
            who,
            answered[who],
            median_seconds(state, who),
            sum(state.seconds(who)) / 60,
        )
        for who in state.people()
    ]


def seconds_left(state: State) -> float | None:
    """Estimate the seconds until all is answered, by one person."""
    each = median_seconds(state)
    return None if each is None else each * (state.total - state.given)


def prices(rounds: Iterable[tuple[Request, State]]) -> dict[str, Price]:
    """Compute prices from what answers took.

    Returns:
        Key of ``active_learning.costs`` -> price, of the kinds that were
        asked. ``'open'`` is what the first answer in an image took more than
        later ones in it; it is absent where an image has one item only.
    """
    seconds: dict[str, list[float]] = {}
    first: list[float] = []
    later: list[float] = []
    for request, state in rounds:
        key = _key(request)
        seen: set[tuple[str, int]] = set()
        for event in state.clients.values():
            if not _counts(event, state):
                continue
            took = event.seconds
            assert took is not None
            seconds.setdefault(key, []).append(took)
            if request.unit == 'image':
                continue
            image = (event.who, request.image_of(event.item))
            (later if image in seen else first).append(took)
            seen.add(image)
    found = {key: price(each) for key, each in seconds.items()}
    if len(first) > 1 and len(later) > 1:
        found['open'] = difference(first, later)
    return found


def _key(request: Request) -> str:
    if request.unit == 'region':
        return 'superpixel' if request.answer == 'class' else 'region'
    return request.unit


def _counts(event: Event, state: State) -> bool:
    """Tell whether an event is a measured answer that stands."""
    return (
        event.role == 'vote'
        and event.seconds is not None
        and state.stands(event)
    )


def _trimmed(values: np.ndarray) -> np.ndarray:
    """Compute trimmed means over the last axis."""
    count = values.shape[-1]
    cut = int(TRIMMED * count)
    kept = np.sort(values, axis=-1)[..., cut : count - cut]
    return np.asarray(kept.mean(-1))


def _resampled(values: Sequence[float], seed: int) -> np.ndarray:
    """Compute trimmed means of resamples, (RESAMPLES,)."""
    array = np.asarray(values)
    draw = np.random.default_rng(seed)
    rows = [
        _trimmed(array[draw.integers(0, len(array), len(array))])
        for _ in range(RESAMPLES)
    ]
    return np.array(rows)


def price(values: Sequence[float]) -> Price:
    """Return a trimmed mean of seconds, with its 95 % interval."""
    low, high = np.percentile(_resampled(values, 0), (2.5, 97.5))
    mean = float(_trimmed(np.asarray(values)))
    return Price(mean, float(low), float(high), len(values))


def difference(first: Sequence[float], later: Sequence[float]) -> Price:
    """Return what the first take longer, with its 95 % interval."""
    both = _resampled(first, 0) - _resampled(later, 1)
    low, high = np.percentile(both, (2.5, 97.5))
    mean = float(_trimmed(np.asarray(first)) - _trimmed(np.asarray(later)))
    return Price(mean, float(low), float(high), len(first))
