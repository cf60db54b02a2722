"""Measure how far people agree with each other, and with themselves.

Every place of a mask counts as one unit. "Can't tell" is a missing value,
void is a value like a class.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segal.annotation.request import Request
from segal.annotation.state import Event, State
from segal.annotation.votes import (
    NO_CLASS,
    REFUSED_LABEL,
    ReadMask,
    labels_of,
)


class Share(NamedTuple):
    """A share, with its 95 % interval (Wilson's).

    Attributes:
        share: 0 to 1.
        low: Of the interval.
        high: Of the interval.
        of: What it is a share of; units of masks count by item.
    """

    share: float
    low: float
    high: float
    of: int


class Person(NamedTuple):
    """How far one person agrees.

    Attributes:
        who: Their name.
        answers: Standing answers to items that others answered, too.
        others: Share of pairs with others that agree; None without any.
        repeats: Share of own answers that were the same the second time.
    """

    who: str
    answers: int
    others: Share | None
    repeats: Share | None


class Agreement(NamedTuple):
    """How far people agree.

    Attributes:
        items: Items that several people answered.
        alpha: Krippendorff's, nominal; None where it is not defined.
        classes: Names of the rows and columns of ``confusion``; the last is
            void.
        confusion: float64 (K, K), symmetric: pairs of answers to one item,
            each pair once in each direction, as in Krippendorff's
            coincidences.
        people: By name.
    """

    items: int
    alpha: float | None
    classes: list[str]
    confusion: NDArray[np.float64]
    people: list[Person]

    def told(self) -> dict[str, Any]:
        """Return it in the types of JSON."""
        return dict(
            items=self.items,
            alpha=self.alpha,
            classes=self.classes,
            confusion=self.confusion.round(3).tolist(),
            people=[
                dict(
                    who=one.who,
                    answers=one.answers,
                    others=one.others and one.others._asdict(),
                    repeats=one.repeats and one.repeats._asdict(),
                )
                for one in self.people
            ],
        )


def coincidences(counts: NDArray[np.integer]) -> NDArray[np.float64]:
    """Count how often two values come together in a unit.

    Source: Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011,
    section C.

    Args:
        counts: (units, K), how many people gave a value to a unit.

    Returns:
        float64 (K, K), symmetric; its sum is the number of pairable values.
    """
    values = counts.sum(1)
    pairable = counts[values > 1].astype(np.float64)
    weighed = pairable / (values[values > 1, None] - 1)
    return weighed.T @ pairable - np.diag(weighed.sum(0))


def alpha_of(coincidence: NDArray[np.float64]) -> float | None:
    """Compute Krippendorff's alpha for nominal data.

    Returns:
        1 where all agree, 0 where they agree as chance would; None where
        there are no pairs, or all gave the same value.
    """
    each = coincidence.sum(1)
    total = each.sum()
    by_chance = total**2 - (each**2).sum()
    if total < 2 or by_chance <= 0:
        return None
    observed = total - np.trace(coincidence)
    return float(1 - (total - 1) * observed / by_chance)


def wilson(share: float, of: int) -> Share:
    """Return a share with its 95 % interval.

    Source: Wilson, Probable Inference, the Law of Succession, and
    Statistical Inference, JASA 1927.
    """
    z = 1.959964
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z * np.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    half /= 1 + z * z / of
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return Share(float(share), float(low), float(high), of)


def _labels(
    request: Request, event: Event, read_mask: ReadMask
) -> NDArray[np.int16]:
    """Return what an answer says: of each place of a mask, else once."""
    if request.answer == 'mask':
        return labels_of(request, event, read_mask)
    if event.cls is not None:
        return np.array([event.cls], np.int16)
    label = NO_CLASS if event.what == 'void' else REFUSED_LABEL
    return np.array([label], np.int16)


class _Pairs:
    """Shares of places in which two answers to an item agree, summed."""

    def __init__(self) -> None:
        self.sum = 0.0
        self.count = 0

    def add(self, first: NDArray[np.int16], second: NDArray[np.int16]) -> None:
        """Take in two answers; where one can't tell, nothing is compared."""
        told = (first != REFUSED_LABEL) & (second != REFUSED_LABEL)
        if told.any():
            self.sum += float((first == second)[told].mean())
            self.count += 1

    @property
    def share(self) -> Share | None:
        """The share that agrees; None without any pair."""
        if not self.count:
            return None
        return wilson(self.sum / self.count, self.count)


def agreement(
    rounds: Iterable[tuple[Request, State]],
    classes: Sequence[str],
    read_mask: ReadMask,
) -> Agreement | None:
    """Measure the agreement within some rounds.

    Returns:
        None where no item has two answers, and none was asked twice.
    """
    count = len(classes) + 1  # void is the last
    coincidence = np.zeros((count, count))
    items = 0
    answers: dict[str, int] = {}
    others: dict[str, _Pairs] = {}
    repeats: dict[str, _Pairs] = {}
    for request, state in rounds:
        for event in state.clients.values():
            first = state.standing(event.item, event.who)
            if event.role != 'repeat' or not state.stands(event) or not first:
                continue
            repeats.setdefault(event.who, _Pairs()).add(
                _labels(request, first, read_mask),
                _labels(request, event, read_mask),
            )
        for index in range(len(request)):
            if state.wanted[index] == 1:
                continue
            events = state.answers(index)
            if len(events) < 2:
                continue
            items += 1
            votes = [_labels(request, event, read_mask) for event in events]
            stack = np.stack(votes)
            stack[stack == NO_CLASS] = count - 1
            counts = np.stack(
                [(stack == value).sum(0) for value in range(count)], 1
            )
            coincidence += coincidences(counts)
            for event in events:
                answers[event.who] = answers.get(event.who, 0) + 1
            for a, b in combinations(range(len(events)), 2):
                for one in (events[a], events[b]):
                    pairs = others.setdefault(one.who, _Pairs())
                    pairs.add(votes[a], votes[b])
    names = sorted({*answers, *repeats})
    if not names:
        return None
    none = _Pairs()
    return Agreement(
        items,
        alpha_of(coincidence),
        [*classes, 'void'],
        coincidence,
        [
            Person(
                who,
                answers.get(who, 0),
                others.get(who, none).share,
                repeats.get(who, none).share,
            )
            for who in names
        ],
    )
