"""Measure and tell what several people and suggestions do in a round."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segal.annotation import predictions
from segal.annotation.agreement import Agreement, Share, agreement, wilson
from segal.annotation.folder import AnnotationFolder
from segal.annotation.measure import Price, difference, price
from segal.annotation.request import Request
from segal.annotation.state import State
from segal.annotation.votes import disputes

Round = tuple[AnnotationFolder, Request, State, Sequence[str]]
"""Folder, request and state of a round, and the names of the classes."""


def _measured(asked: Round) -> tuple[Agreement | None, Effect | None]:
    folder, request, state, classes = asked
    probs = predictions.read(folder, request.round)
    return (
        agreement([(request, state)], classes, folder.read_mask),
        effect([(request, state, probs)]),
    )


def several_told(asked: Round) -> dict[str, Any]:
    """Return agreement, disputes and suggestions in the types of JSON.

    Empty where each item wants one answer and nothing was suggested.
    """
    folder, request, state, _ = asked
    found, effected = _measured(asked)
    told: dict[str, Any] = {}
    if state.total > state.items:
        told['answers'] = state.given
        told['answers_wanted'] = state.total
        told['disputed'] = disputes(folder, request, state)
    if found:
        told['agreement'] = found.told()
    if effected:
        told['suggestions'] = effected.told()
    return told


def agreement_lines(asked: Round) -> list[str]:
    """Write the same as lines of text."""
    folder, request, state, _ = asked
    found, effected = _measured(asked)
    lines: list[str] = []
    if state.total > state.items:
        count = len(disputes(folder, request, state))
        waits = ', which wait for a reviewer' if folder.has_reviewer else ''
        lines.append(
            f'{state.given:,} of {state.total:,} answers; people disagree '
            f'about {count:,} items{waits}'
        )
    if found:
        lines += _lines_of(found)
    if effected and effected.shown:
        lines.append(
            f'the likeliest class is taken in {_words(effected.shown)} where '
            f'it is suggested, in {_words(effected.unshown)} where it is not'
        )
        if more := effected.seconds_more:
            lines.append(
                f'with a suggestion an answer takes {more.seconds:+.1f} s '
                f'({more.low:+.1f} to {more.high:+.1f})'
            )
    return lines


def _lines_of(found: Agreement) -> list[str]:
    alpha = 'not defined' if found.alpha is None else f'{found.alpha:.2f}'
    lines = [f"{found.items:,} items compared, Krippendorff's alpha {alpha}"]
    for one in found.people:
        parts = []
        if one.others:
            parts.append(f'with others in {_words(one.others)}')
        if one.repeats:
            parts.append(f'with own first answers in {_words(one.repeats)}')
        if parts:
            lines.append(f'{one.who} agrees {", ".join(parts)}')
    return lines


def _words(share: Share | None) -> str:
    """Write a share, such as ``'85 % (70 to 93) of 40'``."""
    if share is None:
        return 'an unknown share'
    return (
        f'{share.share:.0%} ({100 * share.low:.0f} to '
        f'{100 * share.high:.0f}) of {share.of:,}'
    ).replace('%', ' %', 1)


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
