"""What each label file will ask, as far as a config and its pool tell."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from segal.active.units.costs import Asked
from segal.config.schema import ActiveLearningConfig, Mixed
from segal.structures import PoolImage


def planned(
    config: ActiveLearningConfig,
    pool: Sequence[PoolImage],
    region: int = 1,
    able: Sequence[int] = (),
) -> list[Asked]:
    """What each label file will ask, were no request void.

    How many images a file opens is known beforehand only where each has its
    share; else it is the most that there can be.

    Args:
        config: What the user wrote, read.
        pool: All images that may be asked about.
        region: Pixels of a region, about.
        able: How many regions each image has; empty where that is not known,
            and all of an image may be asked.

    Returns:
        One for each phase, the initial labels first.
    """
    if config.mixed is not None:
        return _planned_mixed(config, config.mixed, pool, region)
    if config.asks.grouped:
        return _planned_regions(config, pool, region, able)
    everything = config.asks.capacity(pool)
    files: list[Asked] = []
    opened = asked = 0
    for number in range(len(config.phases)):
        if config.budget.per_image:
            until = config.initial.amount + number * config.budget.amount
            count = sum(min(until, one.pixels) for one in pool) - asked
        else:
            unopened = len(pool) - opened
            count = _count(config, number, files, unopened)
            count = min(count, everything - asked)
        new = min(count, len(pool) - opened)
        files.append(config.asks.asked(count, new))
        opened, asked = opened + new, asked + count
    return files


def region_pixels(asked: Asked, pool: Sequence[PoolImage], region: int) -> int:
    """About how many pixels some regions have.

    Args:
        asked: Of regions.
        pool: All images that may be asked about.
        region: Pixels of a region, about.
    """
    mean = sum(one.pixels for one in pool) / len(pool)
    return round(asked.region_shares * mean) + asked.superpixels * region


def _planned_mixed(
    config: ActiveLearningConfig,
    mixed: Mixed,
    pool: Sequence[PoolImage],
    region: int,
) -> list[Asked]:
    """The same where images are opened; images of mean size."""
    mean = sum(one.pixels for one in pool) / len(pool)
    files: list[Asked] = []
    opened = 0
    for number in range(len(config.phases)):
        budget = config.budget if number else config.initial
        new = mixed.images if number else mixed.initial
        new = min(new, len(pool) - opened)
        opened += new
        times = opened if budget.per_image else 1
        if not config.asks.grouped:
            files.append(config.asks.asked(budget.amount * times, new))
            continue
        pixels = budget.amount * times * (1 if budget.in_pixels else region)
        if budget.percent is not None:
            there = opened if budget.per_image else len(pool)
            pixels = int(mean * there * budget.percent / 100)
        count = -(-pixels // region)
        files.append(config.asks.asked(count, new, pixels / mean))
    return files


def _planned_regions(
    config: ActiveLearningConfig,
    pool: Sequence[PoolImage],
    region: int,
    able: Sequence[int],
) -> list[Asked]:
    everything = sum(one.pixels for one in pool)
    files: list[Asked] = []
    opened = asked = given = 0
    for number in range(len(config.phases)):
        if able and not config.budget.counts_pixels:
            unopened = len(pool) - opened
            if config.budget.per_image:
                until = config.initial.amount + number * config.budget.amount
                count = sum(min(until, one) for one in able) - given
            else:
                count = _count(config, number, files, unopened)
                count = min(count, sum(able) - given)
            pixels = min(count * region, everything - asked)
        else:
            until = asked + _region_pixels(config, number, files, pool, region)
            pixels = min(until, everything) - asked
            count = -(-pixels // region)
        new = min(count, len(pool) - opened)
        shares = pixels * len(pool) / everything
        files.append(config.asks.asked(count, new, shares))
        opened, asked = opened + new, asked + pixels
        given += count
    return files


def _region_pixels(
    config: ActiveLearningConfig,
    number: int,
    files: Sequence[Asked],
    pool: Sequence[PoolImage],
    region: int,
) -> int:
    """About how many pixels one label file asks, in regions."""
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
    """What one label file may ask of the whole pool."""
    spending = config.spending
    if spending is not None and number >= spending.first:
        return spending.count(files, unopened)
    return (config.budget if number else config.initial).amount


def cumulated(files: Sequence[Asked]) -> list[Asked]:
    """What was asked until each label file, itself included."""
    return list(accumulate(files))
