"""Forecast the label files of a run, and when its pool runs out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from segal.active.selectors.quotas import top_count
from segal.active.units import Fit
from segal.active.units.costs import Asked
from segal.config.schema import ActiveLearningConfig, Mixed
from segal.structures import PoolImage


def planned(
    config: ActiveLearningConfig,
    pool: Sequence[PoolImage],
    region: int = 1,
    able: Sequence[int] = (),
) -> list[Asked]:
    """Forecast the requests of each label file, were none of them void.

    The images that a file opens are known only where each has its share;
    else the most possible are counted.

    Args:
        config: The ``active_learning`` that was read.
        pool: All images that may be asked about.
        region: Typical pixels of a region.
        able: Regions of each image; empty where they are not known, and all
            of an image may be asked.

    Returns:
        One for each phase, the initial labels first.
    """
    if config.mixed is not None:
        return _planned_mixed(config, config.mixed, pool, region)
    everything = sum(one.pixels for one in pool)
    if not config.asks.grouped:
        able = [1 if config.asks.whole else one.pixels for one in pool]
    files: list[Asked] = []
    opened = asked = given = 0
    for number in range(len(config.phases)):
        if not able or config.budget.counts_pixels:
            wanted = _region_pixels(config, number, files, pool, region)
            pixels = min(wanted, everything - asked)
            count = -(-pixels // region)
        else:
            if config.budget.per_image:
                until = config.initial.amount + number * config.budget.amount
                count = sum(min(until, one) for one in able) - given
            else:
                count = _count(config, number, files, len(pool) - opened)
                count = min(count, sum(able) - given)
            pixels = min(count * region, everything - asked)
        new = min(count, len(pool) - opened)
        shares = pixels * len(pool) / everything
        files.append(config.asks.asked(count, new, shares))
        opened, asked, given = opened + new, asked + pixels, given + count
    return files


def region_pixels(asked: Asked, pool: Sequence[PoolImage], region: int) -> int:
    """Estimate the pixels of some regions."""
    mean = sum(one.pixels for one in pool) / len(pool)
    return round(asked.region_shares * mean) + asked.superpixels * region


def _planned_mixed(
    config: ActiveLearningConfig,
    mixed: Mixed,
    pool: Sequence[PoolImage],
    region: int,
) -> list[Asked]:
    """Forecast label files that open images, all of mean size."""
    mean = sum(one.pixels for one in pool) / len(pool)
    files: list[Asked] = []
    opened = 0
    for number in range(len(config.phases)):
        budget = config.budget if number else config.initial
        new = mixed.images if number else mixed.initial
        new = min(new, len(pool) - opened)
        opened += new
        times = opened if budget.per_image else 1
        count = pixels = budget.amount * times
        if config.asks.grouped:
            pixels *= 1 if budget.in_pixels else region
            if budget.percent is not None:
                there = opened if budget.per_image else len(pool)
                pixels = int(mean * there * budget.percent / 100)
            count = -(-pixels // region)
        files.append(config.asks.asked(count, new, pixels / mean))
    return files


def _region_pixels(
    config: ActiveLearningConfig,
    number: int,
    files: Sequence[Asked],
    pool: Sequence[PoolImage],
    region: int,
) -> int:
    """Estimate the pixels that one label file asks, in regions."""
    budget = config.budget if number else config.initial
    if budget.percent is not None:
        return int(sum(one.pixels for one in pool) * budget.percent / 100)
    if budget.per_image:
        count = budget.amount * len(pool)
    else:
        opened = sum(file.opened for file in files)
        count = _count(config, number, files, len(pool) - opened)
    return count if budget.in_pixels else count * region


def _count(
    config: ActiveLearningConfig,
    number: int,
    files: Sequence[Asked],
    unopened: int,
) -> int:
    """Count the most requests of one label file to the whole pool."""
    spending = config.spending
    if spending is not None and number >= spending.first:
        return spending.count(files, unopened)
    return (config.budget if number else config.initial).amount


def cumulated(files: Sequence[Asked]) -> list[Asked]:
    """Sum the requests until each label file, itself included."""
    return list(accumulate(files))


class Round(NamedTuple):
    """Count the requests of one label file that the pool can give.

    Attributes:
        asked: Pixels, regions or images, as the budget counts.
        short: Images that give less than their share.
    """

    asked: int
    short: int


def _rounds(
    config: ActiveLearningConfig,
    pool: Sequence[PoolImage],
    able: Sequence[int],
    region: int = 1,
) -> list[Round]:
    """Forecast the requests of each label file, limited by the pool.

    Args:
        config: The ``active_learning`` that was read.
        pool: All images that may be asked about.
        able: The most that each image can give, as the budget counts; where
            images are opened, in the order of their opening.
        region: Typical pixels of a region.

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
            opened = config.mixed.initial + number * config.mixed.images
        given, short = [], 0
        amount, percent = budget.amount, budget.percent
        if percent is not None and not budget.per_image:
            amount = top_count(sum(x.pixels for x in pool), percent)
        for at, have in enumerate(left[:opened]):
            if budget.per_image and percent is not None:
                amount = top_count(pool[at].pixels, percent)
            given.append(min(have, amount))
            left[at] -= given[-1]
            if budget.per_image:
                short += given[-1] < amount
            else:
                amount -= given[-1]
        found.append(Round(sum(given), short))
    return found


def runs_out(
    config: ActiveLearningConfig,
    pool: Sequence[PoolImage],
    fits: Sequence[Fit] = (),
    region: int = 1,
) -> str:
    """Say in which round images, and the whole pool, run out."""
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
    early = _rounds(config, pool, least, region)
    late = _rounds(config, pool, most, region)
    text = _in_words(config, early, late, sum(least), sum(most), len(pool))
    if config.oracle.get('void') == 'exclude':
        counted += '; void is not, so that it may be earlier'
    return f'{"" if exact or text == "no" else "about "}{text} ({counted})'


def _in_words(
    config: ActiveLearningConfig,
    early: Sequence[Round],
    late: Sequence[Round],
    least: int,
    most: int,
    images: int,
) -> str:
    parts = []
    first = _when(_short(early), _short(late))
    if first:
        short = early[_short(early) or 0].short
        some = f'{short:,} of {images:,}' if early == late else 'some'
        parts.append(f'{first}: {some} images give less than their share')
    after = _empty(late, most)
    last = _when(_empty(early, least), after)
    if last:
        parts.append(f'{last}: the pool gives all that is left')
        if after is not None and len(config.phases) - 1 > after:
            parts.append(
                'later rounds ask nothing, and train on the labels that there '
                'are'
            )
    return '; '.join(parts) or 'no'


def _short(found: Sequence[Round]) -> int | None:
    return next((k for k, one in enumerate(found) if one.short), None)


def _empty(found: Sequence[Round], able: int) -> int | None:
    """Find the first round after which nothing is left."""
    asked = accumulate(one.asked for one in found)
    return next((k for k, total in enumerate(asked) if total >= able), None)


def _when(early: int | None, late: int | None) -> str:
    if early is None:
        return ''
    if late is None:
        return f'round {early} or later'
    return f'round {early}' if early == late else f'round {early} to {late}'
