"""Forecast the label files of a run, and when its pool runs out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from segal.active.selectors.quotas import top_count
from segal.active.units import Fit
from segal.active.units.costs import Asked
from segal.config.schema import ActiveLearningConfig
from segal.structures import PoolImage


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
        config = self.config
        able = [image.pixels for image in self.pool]
        if config.asks.whole:
            able = [1] * len(able)
        elif config.asks.grouped and not config.budget.counts_pixels:
            able = [(fit.least + fit.most) // 2 for fit in self.fits] or [
                -(-pixels // self.region) for pixels in able
            ]
        return list(accumulate(file for file, _ in self._files(able)))

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

    def _files(self, able: Sequence[int]) -> Iterator[tuple[Asked, Round]]:
        """Forecast each label file, limited by the pool.

        Args:
            able: The most that each image can give, as the budget counts;
                where images are opened, in the order of their opening.
        """
        config = self.config
        mixed, spending = config.mixed, config.spending
        left, files, opened, asked = list(able), list[Asked](), 0, 0
        for number in range(len(config.phases)):
            budget = config.budget if number else config.initial
            amount, percent = budget.amount, budget.percent
            if spending is not None and number >= spending.first:
                amount = spending.count(files, len(left) - opened)
            elif percent is not None:
                amount = top_count(self.pixels, percent)
            there = len(left)
            if mixed is not None:
                there = min(there, mixed.initial + number * mixed.images)
            given = short = 0
            for at, have in enumerate(left[:there]):
                if budget.per_image and percent is not None:
                    amount = top_count(self.pool[at].pixels, percent)
                gives = min(have, amount)
                left[at] -= gives
                given += gives
                if budget.per_image:
                    short += gives < amount
                else:
                    amount -= gives
            count, pixels = given, given * self.region
            if budget.counts_pixels:
                count, pixels = -(-given // self.region), given
            pixels = min(pixels, self.pixels - asked)
            most = opened + count if mixed is None else there
            new = min(most, len(left)) - opened
            shares = pixels * len(left) / self.pixels
            files.append(config.asks.asked(count, new, shares))
            opened, asked = opened + new, asked + pixels
            yield files[-1], Round(given, short)

    def _in_words(self, least: Sequence[int], most: Sequence[int]) -> str:
        """Describe the first rounds that lack images, at least and at most."""
        early, late = (
            [found for _, found in self._files(able)] for able in (least, most)
        )
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
