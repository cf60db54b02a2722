"""In which round a pool runs dry, as far as a config and its pool tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from segal.active.selectors.quotas import top_count
from segal.active.units import Fit
from segal.config.planned import planned
from segal.config.schema import ActiveLearningConfig
from segal.structures import PoolImage


class Round(NamedTuple):
    """What one label file asks of a pool that has only so much.

    Attributes:
        asked: Pixels, regions or images; what the budget counts.
        short: Images that give less than their share.
    """

    asked: int
    short: int


def rounds(
    config: ActiveLearningConfig,
    pool: Sequence[PoolImage],
    able: Sequence[int],
    region: int = 1,
) -> list[Round]:
    """What each label file asks, were no request void.

    Args:
        config: What the user wrote, read.
        pool: All images that may be asked about.
        able: How much of what the budget counts each image can give; where
            images are opened, in the order in which they are.
        region: Pixels of a region, about.

    Returns:
        One for each phase, the initial labels first.
    """
    if config.spending is not None:
        files = planned(config, pool, region, able)
        return [Round(file.requests, 0) for file in files]
    left, opened, found = list(able), len(pool), []
    for number in range(len(config.phases)):
        budget = config.budget if number else config.initial
        if config.mixed is not None:
            mixed = config.mixed
            opened = mixed.initial + number * mixed.images
        shares = [
            budget.amount
            if budget.percent is None
            else top_count(image.pixels, budget.percent)
            for image in pool
        ]
        given = [
            min(have, share)
            for have, share in zip(left[:opened], shares, strict=False)
        ]
        short = sum(x < y for x, y in zip(given, shares, strict=False))
        if not budget.per_image:
            amount, short = budget.amount, 0
            if budget.percent is not None:
                amount = top_count(sum(x.pixels for x in pool), budget.percent)
            given = []
            for have in left[:opened]:
                given.append(min(have, amount))
                amount -= given[-1]
        for at, count in enumerate(given):
            left[at] -= count
        found.append(Round(sum(given), short))
    return found


def runs_dry(
    config: ActiveLearningConfig,
    pool: Sequence[PoolImage],
    fits: Sequence[Fit] = (),
    region: int = 1,
) -> str:
    """Say in which round images, and the whole pool, run dry.

    Args:
        config: What the user wrote, read.
        pool: All images that may be asked about.
        fits: How many regions each image has; empty for other units.
        region: Pixels of a region, about.
    """
    least = most = [1 if config.asks.whole else x.pixels for x in pool]
    exact, counted = True, f'{config.unit}s are counted'
    if fits:
        exact = all(fit.exact for fit in fits)
        least, most = [x.least for x in fits], [x.most for x in fits]
        low, high = sum(least), sum(most)
        number = f'{low:,}' if low == high else f'{low:,} to {high:,}'
        counted = f'{"" if exact else "about "}{number} regions in the pool'
        if low != high:
            counted += ', by where they are chosen'
        elif not exact:
            counted += ', not counted'
        if config.budget.counts_pixels:
            least = [
                min(x.pixels, low * region)
                for x, low in zip(pool, least, strict=True)
            ]
            most, exact = [x.pixels for x in pool], False
            counted = 'a region that was cut, or a gap, is not asked again'
    if config.mixed:  # small images may be opened first, or last
        least, most = sorted(least), sorted(most, reverse=True)
    early = rounds(config, pool, least, region)
    late = rounds(config, pool, most, region)
    told = _told(config, early, late, sum(least), sum(most), len(pool))
    if config.oracle.get('void') == 'exclude':
        counted += '; void is not, so that it may be earlier'
    return f'{"" if exact or told == "no" else "about "}{told} ({counted})'


def _told(
    config: ActiveLearningConfig,
    early: Sequence[Round],
    late: Sequence[Round],
    least: int,
    most: int,
    images: int,
) -> str:
    """The rounds, in words."""
    parts = []
    first = _when(_short(early), _short(late))
    if first:
        short = early[_short(early) or 0].short
        some = f'{short:,} of {images:,}' if early == late else 'some'
        parts.append(f'{first}: {some} images give less than their share')
    last = _when(_empty(early, least), _empty(late, most))
    if last:
        parts.append(f'{last}: the pool gives all that is left')
        after = _empty(late, most)
        rest = len(config.phases) - 1 - (after or 0)
        if after is not None and rest > 0:
            parts.append(
                'later rounds ask nothing, and train on the labels that there '
                'are'
            )
    return '; '.join(parts) or 'no'


def _short(found: Sequence[Round]) -> int | None:
    return next((k for k, one in enumerate(found) if one.short), None)


def _empty(found: Sequence[Round], able: int) -> int | None:
    """After which round nothing is left."""
    asked = 0
    for number, one in enumerate(found):
        asked += one.asked
        if asked >= able:
            return number
    return None


def _when(early: int | None, late: int | None) -> str:
    if early is None:
        return ''
    if late is None:
        return f'round {early} or later'
    return f'round {early}' if early == late else f'round {early} to {late}'
