"""Decide who is asked what: a pure function of request, options and people.

Draws are keyed, so that nobody has to keep them: the same people get the same
items, and a person who comes later takes a part of everybody's share without
moving anything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from segal.annotation.request import Request
from segal.seeding import key, place_keys, uniform

REPEATED = 0.02
"""This share of a person's items is asked of them once more."""


class Options(NamedTuple):
    """How items are shown and shared out; kept in ``options.json``.

    Attributes:
        order: ``'image'``, ``'score'`` or ``'shuffled'``.
        seed: Of all draws.
        votes: Answers that each item wants.
        overlap: Share of the items that want two answers at least.
        resolve: ``'majority'``: a reviewer decides ties; ``'reviewer'``: all
            that people disagree about.
        suggest: ``'none'``; ``'order'``: likely classes are marked;
            ``'prefill'``: Enter takes the likeliest.
        suggest_share: Share of the items where that is done.
        recheck: Share of the items whose answers may be asked once more.
    """

    order: str = 'image'
    seed: int = 0
    votes: int = 1
    overlap: float = 0.0
    resolve: str = 'majority'
    suggest: str = 'none'
    suggest_share: float = 1.0
    recheck: float = 0.0

    @property
    def measures(self) -> bool:
        """Whether people's agreement is asked for at all."""
        return self.votes > 1 or self.overlap > 0


def _draw(
    request: Request, options: Options, *purpose: object
) -> NDArray[np.float32]:
    """Draw a number in [0, 1) for each item, float32 (N,)."""
    stream = key(options.seed, request.round, *purpose)
    return uniform(place_keys(stream, np.arange(len(request))))


def answers_wanted(request: Request, options: Options) -> list[int]:
    """Count the answers that each item wants, each by another person."""
    wanted = np.full(len(request), options.votes)
    if options.votes < 2 and options.overlap > 0:
        wanted[_draw(request, options, 'overlap') < options.overlap] = 2
    return wanted.tolist()


def is_suggested(request: Request, options: Options) -> NDArray[np.bool_]:
    """Draw the items where likely classes are suggested, bool (N,)."""
    if options.suggest == 'none':
        return np.zeros(len(request), bool)
    return _draw(request, options, 'suggest') < options.suggest_share


def is_repeated(
    request: Request, options: Options, who: str
) -> NDArray[np.bool_]:
    """Draw the items that a person is asked twice, bool (N,).

    None are where agreement is not asked for.
    """
    if not options.measures:
        return np.zeros(len(request), bool)
    return _draw(request, options, 'repeat', who) < REPEATED


def shares(
    request: Request, options: Options, people: Sequence[str]
) -> NDArray[np.bool_]:
    """Share the items out: each goes to as many people as it wants answers.

    Each person draws a number for each item, and those with the highest get
    it. In the order ``'image'`` they draw for whole images, so that a person
    opens fewer of them.

    Args:
        request: What is asked.
        options: Votes, overlap, order and seed.
        people: Names, each once, in any order.

    Returns:
        bool (people, items). Where an item wants more answers than there are
        people, all have it.
    """
    if not people:
        return np.zeros((0, len(request)), bool)
    by_image = options.order == 'image'
    places = request.images if by_image else np.arange(len(request))
    names = sorted(people)
    draws = np.stack(
        [
            place_keys(key(options.seed, request.round, 'share', name), places)
            for name in names
        ]
    )
    above = np.argsort(np.argsort(draws, axis=0), axis=0)  # (people, items)
    wanted = np.array(answers_wanted(request, options), np.int64)
    mine = above >= len(names) - wanted
    return mine[[names.index(name) for name in people]]
