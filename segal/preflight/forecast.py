"""Forecast the label files of a run, and when its pool runs out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from segal.active.selectors.quotas import top_count
from segal.active.units import Fit
from segal.active.units.costs import Asked
from segal.config.schema import ActiveLearningConfig, Mixed
from segal.structures import Budget, PoolImage


class Round(NamedTuple):
    """Count the requests of one label file that the pool can give.

    Attributes:
        asked: Pixels, regions or images, as the budget counts.
        short: Images that give less than their share.
    """

    asked: int
    short: int


@dataclass(frozen=True)
class Forecast:
    """Forecast the requests of each label file, were none of them void.

    Attributes:
        config: The ``active_learning`` that was read.
        pool: All images that may be asked about.
        region: Pixels of a typical region; 1 for other units.
        fits: How many regions each image has; empty for other units, and
            where they were not counted.
    """

    config: ActiveLearningConfig
    pool: Sequence[PoolImage]
    region: int = 1
    fits: Sequence[Fit] = ()

    @property
    def pixels(self) -> int:
        """Count the pixels of the pool."""
        return sum(image.pixels for image in self.pool)

    def region_pixels(self, asked: Asked) -> int:
        """Estimate the pixels of some regions."""
        mean = self.pixels / len(self.pool)
        return round(asked.region_shares * mean) + (
            asked.superpixels * self.region
        )

    def cumulated(self) -> list[Asked]:
        """Sum the requests until each label file, itself included.

        The images that a file opens are known only where each has its share;
        else the most possible are counted.
        """
        able = [(fit.least + fit.most) // 2 for fit in self.fits]
        mixed = self.config.mixed
        if mixed is not None:
            return list(accumulate(self._opening(mixed)))
        return list(accumulate(self._files(able)))

    def runs_out(self) -> str:
        """Say in which round images, and the whole pool, run out."""
        config, pool = self.config, self.pool
        least = most = [1 if config.asks.whole else x.pixels for x in pool]
        exact, counted = True, f'{config.unit}s are counted'
        if self.fits:
            exact = all(fit.exact for fit in self.fits)
            least = [fit.least for fit in self.fits]
            most = [fit.most for fit in self.fits]
            low, high = sum(least), sum(most)
            number = f'{low:,}' if low == high else f'{low:,} to {high:,}'
            counted = f'{"" if exact else "about "}{number} regions in the '
            counted += 'pool'
            if low != high:
                counted += ', by where they are chosen'
            elif not exact:
                counted += ', not counted'
            if config.budget.counts_pixels:
                least = [
                    min(x.pixels, low * self.region)
                    for x, low in zip(pool, least, strict=True)
                ]
                most, exact = [x.pixels for x in pool], False
                counted = 'a region that was cut, or a gap, is not asked again'
        if config.mixed:  # small images may be opened first, or last
            least, most = sorted(least), sorted(most, reverse=True)
        text = self._in_words(least, most)
        if config.oracle.get('void') == 'exclude':
            counted += '; void is not, so that it may be earlier'
        return f'{"" if exact or text == "no" else "about "}{text} ({counted})'

    def _budget(self, number: int) -> Budget:
        return self.config.budget if number else self.config.initial

    def _files(self, able: Sequence[int]) -> list[Asked]:
        """Forecast label files, where all images are open.

        Args:
            able: Requests that each image can give; empty where they are not
                known, and all of an image may be asked.
        """
        config, pool = self.config, self.pool
        if not config.asks.grouped:
            able = [1 if config.asks.whole else one.pixels for one in pool]
        files: list[Asked] = []
        opened = asked = given = 0
        for number in range(len(config.phases)):
            if not able or config.budget.counts_pixels:
                wanted = self._region_pixels(number, files)
                pixels = min(wanted, self.pixels - asked)
                count = -(-pixels // self.region)
            else:
                if config.budget.per_image:
                    until = config.initial.amount
                    until += number * config.budget.amount
                    count = sum(min(until, one) for one in able) - given
                else:
                    count = self._count(number, files)
                    count = min(count, sum(able) - given)
                pixels = min(count * self.region, self.pixels - asked)
            new = min(count, len(pool) - opened)
            shares = pixels * len(pool) / self.pixels
            files.append(config.asks.asked(count, new, shares))
            opened, asked, given = opened + new, asked + pixels, given + count
        return files

    def _opening(self, mixed: Mixed) -> list[Asked]:
        """Forecast label files that open images, all of mean size."""
        mean = self.pixels / len(self.pool)
        files: list[Asked] = []
        opened = 0
        for number in range(len(self.config.phases)):
            budget = self._budget(number)
            new = mixed.images if number else mixed.initial
            new = min(new, len(self.pool) - opened)
            opened += new
            count = pixels = budget.amount * (
                opened if budget.per_image else 1
            )
            if self.config.asks.grouped:
                pixels *= 1 if budget.in_pixels else self.region
                if budget.percent is not None:
                    there = opened if budget.per_image else len(self.pool)
                    pixels = int(mean * there * budget.percent / 100)
                count = -(-pixels // self.region)
            files.append(self.config.asks.asked(count, new, pixels / mean))
        return files

    def _region_pixels(self, number: int, files: Sequence[Asked]) -> int:
        """Estimate the pixels that one label file asks, in regions."""
        budget = self._budget(number)
        if budget.percent is not None:
            return int(self.pixels * budget.percent / 100)
        if budget.per_image:
            count = budget.amount * len(self.pool)
        else:
            count = self._count(number, files)
        return count if budget.in_pixels else count * self.region

    def _count(self, number: int, files: Sequence[Asked]) -> int:
        """Count the most requests of one label file to the whole pool."""
        spending = self.config.spending
        if spending is not None and number >= spending.first:
            opened = sum(file.opened for file in files)
            return spending.count(files, len(self.pool) - opened)
        return self._budget(number).amount

    def _rounds(self, able: Sequence[int]) -> list[Round]:
        """Forecast the requests of each label file, limited by the pool.

        Args:
            able: The most that each image can give, as the budget counts;
                where images are opened, in the order of their opening.
        """
        if self.config.spending is not None:
            return [Round(file.requests, 0) for file in self._files(able)]
        mixed, found = self.config.mixed, []
        left, opened = list(able), len(self.pool)
        for number in range(len(self.config.phases)):
            budget = self._budget(number)
            if mixed is not None:
                opened = mixed.initial + number * mixed.images
            given, short = 0, 0
            amount, percent = budget.amount, budget.percent
            if percent is not None and not budget.per_image:
                amount = top_count(self.pixels, percent)
            for at, have in enumerate(left[:opened]):
                if budget.per_image and percent is not None:
                    amount = top_count(self.pool[at].pixels, percent)
                gives = min(have, amount)
                left[at] -= gives
                given += gives
                if budget.per_image:
                    short += gives < amount
                else:
                    amount -= gives
            found.append(Round(given, short))
        return found

    def _in_words(self, least: Sequence[int], most: Sequence[int]) -> str:
        """Describe the first rounds that lack images, at least and at most."""
        early, late = self._rounds(least), self._rounds(most)
        parts = []
        first = _when(_short(early), _short(late))
        if first:
            short = early[_short(early) or 0].short
            some = f'{short:,} of {len(self.pool):,}'
            some = some if early == late else 'some'
            parts.append(f'{first}: {some} images give less than their share')
        after = _empty(late, sum(most))
        last = _when(_empty(early, sum(least)), after)
        if last:
            parts.append(f'{last}: the pool gives all that is left')
            if after is not None and len(self.config.phases) - 1 > after:
                parts.append(
                    'later rounds ask nothing, and train on the labels that '
                    'there are'
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
