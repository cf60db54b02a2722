"""Measure what suggestions do: to the answers, and to the time they take."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segal.annotation.agreement import Share, wilson
from segal.annotation.measure import Price, difference, price
from segal.annotation.request import Request
from segal.annotation.state import State

FEWEST = 2
"""Answers of each kind that an interval needs."""


class Effect(NamedTuple):
    """What suggestions do.

    Attributes:
        shown: Share of answers that are the likeliest class, where it was
            suggested.
        unshown: The same where it was not.
        bias: The first less the second, with its 95 % interval; None where
            one of them is not known.
        seconds_shown: Trimmed mean of the time of an answer.
        seconds_unshown: The same where nothing was suggested.
        seconds_more: The first less the second; below 0 where suggestions
            are faster.
    """

    shown: Share | None
    unshown: Share | None
    bias: tuple[float, float, float] | None
    seconds_shown: Price | None
    seconds_unshown: Price | None
    seconds_more: Price | None

    def told(self) -> dict[str, Any]:
        """Return it in the types of JSON."""
        found: dict[str, Any] = {}
        for key, value in self._asdict().items():
            has_fields = hasattr(value, '_asdict')
            found[key] = value._asdict() if has_fields else value
        return found


def effect(
    rounds: Iterable[tuple[Request, State, NDArray[np.float32] | None]],
) -> Effect | None:
    """Measure the effect of suggestions in some rounds.

    An answer counts where the prediction is known, and is a class or void.
    Rounds and people are taken together, so that only a draw over items
    (``suggest_share`` below 1) makes the two kinds alike.

    Args:
        rounds: Requests, what was answered, and the predictions of each,
            float32 (items, C).

    Returns:
        None where nothing was suggested.
    """
    agrees: dict[bool, list[bool]] = {True: [], False: []}
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for _, state, probs in rounds:
        if probs is None:
            continue
        likeliest = probs.argmax(1)
        for event in state.clients.values():
            if event.role != 'vote' or not state.stands(event):
                continue
            shown = event.hint is not None
            if event.what in ('class', 'void'):
                agrees[shown].append(event.cls == likeliest[event.item])
            if event.seconds is not None:
                seconds[shown].append(event.seconds)
    if not agrees[True] and not seconds[True]:
        return None
    shares = {k: _share(found) for k, found in agrees.items()}
    times = {
        k: price(found) if len(found) >= FEWEST else None
        for k, found in seconds.items()
    }
    both = times[True] and times[False]
    return Effect(
        shares[True],
        shares[False],
        _gap(shares[True], shares[False]),
        times[True],
        times[False],
        difference(seconds[True], seconds[False]) if both else None,
    )


def _share(agrees: list[bool]) -> Share | None:
    if len(agrees) < FEWEST:
        return None
    return wilson(sum(agrees) / len(agrees), len(agrees))


def _gap(
    first: Share | None, second: Share | None
) -> tuple[float, float, float] | None:
    """Return the difference of two shares, with its 95 % interval.

    Source: Newcombe, Interval Estimation for the Difference Between
    Independent Proportions, Statistics in Medicine 1998, method 10.
    """
    if first is None or second is None:
        return None
    gap = first.share - second.share
    down = np.hypot(first.share - first.low, second.high - second.share)
    up = np.hypot(first.high - first.share, second.share - second.low)
    return gap, float(gap - down), float(gap + up)
