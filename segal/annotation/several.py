"""Tell what is known of several people in the round that is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from segal.annotation import predictions
from segal.annotation.agreement import Agreement, Share, agreement
from segal.annotation.folder import AnnotationFolder
from segal.annotation.request import Request
from segal.annotation.state import State
from segal.annotation.suggestion_effect import Effect, effect
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
