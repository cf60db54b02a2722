"""Say what another round is expected to bring, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segal.active.label_store.pool_file import read_pool
from segal.errors import StateError
from segal.report.extrapolate import FEWEST, LEVEL, Forecast, extrapolate
from segal.report.track import Price, Track, track_of
from segal.rounds import is_full, read_rounds, read_settings

AHEAD = 3
"""Rounds that are drawn ahead."""


@dataclass(frozen=True)
class Outlook:
    """What the next rounds of a run are expected to bring.

    Attributes:
        track: The run so far.
        ahead: Requests until each of the next rounds, (K,); the first is
            that of another round. Empty where the pool has nothing left.
        forecast: At ``ahead``; None where it cannot be told.
        why: Why it cannot be told, in words.
        full: mIoU of full supervision in per cent; None where unknown.
    """

    track: Track
    ahead: tuple[float, ...] = ()
    forecast: Forecast | None = None
    why: str = ''
    full: float | None = None

    @property
    def now(self) -> float | None:
        """Return mIoU of the last round, in per cent."""
        return self.track.miou[-1]

    @property
    def requests(self) -> float:
        """Requests of another round."""
        return self.ahead[0] - self.track.asked[-1]

    @property
    def price(self) -> Price | None:
        """The price of one request."""
        return self.track.price

    @property
    def cost(self) -> float | None:
        """What another round costs, in the price's unit."""
        price = self.price
        return price.each * self.requests if price and self.ahead else None

    @property
    def gain(self) -> tuple[float, float, float] | None:
        """Expected gain of another round, and its interval, in points."""
        if self.forecast is None or self.now is None:
            return None
        low, high = self.forecast.interval()
        found = (self.forecast.expected[0], low[0], high[0])
        expected, low_, high_ = (float(one) - self.now for one in found)
        return expected, low_, high_

    @property
    def rate(self) -> tuple[float, float, float] | None:
        """Gain for each hour, or other unit of cost, and its interval."""
        if not (self.gain and self.cost):
            return None
        expected, low, high = (one / self.cost for one in self.gain)
        return expected, low, high

    @property
    def below_full(self) -> float | None:
        """Points of mIoU that full supervision is above now."""
        if self.full is None or self.now is None:
            return None
        return self.full - self.now

    def as_json(self) -> dict[str, Any]:
        """Return all numbers, with their units in the names."""
        gain, rate, price = self.gain, self.rate, self.price
        return dict(
            unit=self.track.unit,
            asked=self.track.asked,
            miou_percent=self.track.miou,
            next_requests=self.requests if self.ahead else None,
            next_gain=None if gain is None else gain[0],
            next_gain_interval=None if gain is None else gain[1:],
            interval_percent=LEVEL,
            unknown=self.why or None,
            next_cost=self.cost,
            cost_unit=price and price.unit,
            cost_source=price and price.source,
            gain_per_cost=None if rate is None else rate[0],
            gain_per_cost_interval=None if rate is None else rate[1:],
            full_percent=self.full,
            below_full=self.below_full,
        )


def look_ahead(
    track: Track,
    full: float | None = None,
    requests: float | None = None,
) -> Outlook:
    """Extrapolate a run by :data:`AHEAD` rounds.

    Args:
        track: The run so far.
        full: mIoU of full supervision in per cent.
        requests: Of another round; None: as many as the last one had.
    """
    step = track.last_round if requests is None else requests
    if step <= 0:
        return Outlook(track, why='the last round asked nothing', full=full)
    if track.left is not None and track.left <= 0:
        return Outlook(track, why='the whole pool is labelled', full=full)
    most = np.inf if track.left is None else track.asked[-1] + track.left
    steps = track.asked[-1] + step * np.arange(1, AHEAD + 1)
    ahead = tuple(dict.fromkeys(np.minimum(steps, most).tolist()))
    if track.miou[-1] is None:
        why = 'the last round has no mIoU'
        return Outlook(track, ahead, why=why, full=full)
    forecast = extrapolate(track.asked, track.miou, ahead)
    why = ''
    if forecast is None:
        why = (
            f'not enough rounds: {FEWEST} with different budgets are needed, '
            f'{_usable(track)} there'
        )
    return Outlook(track, ahead, forecast, why, full)


def _usable(track: Track) -> str:
    pairs = zip(track.asked, track.miou, strict=True)
    count = len({at for at, miou in pairs if miou is not None and at > 0})
    return f'{count} {"is" if count == 1 else "are"}'


def read_outlook(
    work_dir: Path,
    full: Sequence[Path] = (),
    requests: float | None = None,
) -> Outlook | None:
    """Read a work_dir, without torch.

    Args:
        work_dir: Of the run.
        full: Fully supervised runs; none: those that lie beside it.
        requests: Of another round; None: as many as the last one had.

    Returns:
        None where no round is finished.

    Raises:
        StateError: A folder is no work_dir, is damaged, or a run of ``full``
            has another pool or no finished round.
    """
    pool = read_pool(work_dir)
    rows = read_rounds(work_dir)
    if not rows:
        return None
    config = read_settings(work_dir)
    costs = (config.get('active_learning') or {}).get('costs')
    try:
        track = track_of(rows, costs)
        beside = () if is_full(rows) else _beside(work_dir)
    except (KeyError, TypeError, ValueError) as error:
        raise StateError(
            f'{work_dir / "rounds.json"}: wanted what was asked and measured '
            f'in each round, got rows without it ({type(error).__name__}: '
            f'{error}); restore it from a copy'
        ) from error
    known: list[float] = []
    for folder in full or beside:
        found = _full_miou(folder, pool.images, pool.classes)
        if found is not None:
            known.append(found)
        elif full:
            raise StateError(
                f'{folder}: wanted a finished run with the pool and the '
                f'classes of {work_dir}, and an mIoU, got something else; '
                'leave --full out, or name such a run'
            )
    return look_ahead(
        track, float(np.mean(known)) if known else None, requests
    )


def _beside(work_dir: Path) -> list[Path]:
    """List the fully supervised runs in the same folder, on the same data."""
    own = work_dir.resolve()
    val = (read_settings(own).get('data') or {}).get('val')
    found = []
    for path in sorted(own.parent.glob('*/rounds.json')):
        if path.parent == own:
            continue
        try:
            rows = read_rounds(path.parent)
            other = read_settings(path.parent).get('data') or {}
            if rows and is_full(rows) and other.get('val') == val:
                found.append(path.parent)
        except (StateError, KeyError, TypeError):
            continue  # another run's damage is told by that run
    return found


def _full_miou(
    folder: Path, images: Sequence[Any], classes: Sequence[str]
) -> float | None:
    """Read the last mIoU of a run with the same pool, in per cent."""
    pool, rows = read_pool(folder), read_rounds(folder)
    same = list(pool.images) == list(images) and pool.classes == classes
    if not same or not rows or rows[-1].get('mIoU') is None:
        return None
    return 100 * float(rows[-1]['mIoU'])


CAUTION = (
    'An expectation from the curve so far, no promise: it takes the next '
    'rounds to be asked and trained as the last ones were.'
)


def outlook_words(outlook: Outlook) -> str:
    """Say what another round brings, costs, and how far the full labels are.

    Such as ``Another round of 200 pixels (about 14 min of one person,
    measured) is expected to bring +0.8 points of mIoU, 80 % between -0.1 and
    +1.9, or +3.4 an hour (-0.43 to +8.1); now 2.3 below full supervision.``
    """
    gain, full = outlook.gain, full_words(outlook)
    end = f'; {full}' if full else ''
    if gain is None:
        what = _round_words(outlook)
        return f'What {what} would bring cannot be told: {outlook.why}{end}.'
    what = _round_words(outlook)
    return (
        f'{what[0].upper()}{what[1:]} is expected to bring {gain[0]:+.1f} '
        f'points of mIoU, {LEVEL} % between {gain[1]:+.1f} and '
        f'{gain[2]:+.1f}{rate_words(outlook, ", or ")}{end}.'
    )


def full_words(outlook: Outlook) -> str:
    """Say how far full supervision is; nothing where that is unknown."""
    below = outlook.below_full
    if below is None:
        return ''
    where = 'below' if below >= 0 else 'above'
    return f'now {abs(below):.1f} {where} full supervision'


def rate_words(outlook: Outlook, before: str = '') -> str:
    """Say the gain and its interval for an hour, or 100 of another unit."""
    shown, price = outlook.rate or outlook.gain, outlook.price
    if shown is None:
        return ''
    if outlook.rate is None or price is None:
        scale, per = 100 / outlook.requests, f'for 100 {outlook.track.unit}s'
    elif price.unit == 'hours':
        scale, per = 1.0, 'an hour'
    else:
        scale, per = 100.0, f'for 100 {price.unit}'
    expected, low, high = (_signed(scale * one) for one in shown)
    return f'{before}{expected} {per} ({low} to {high})'


def _signed(value: float) -> str:
    """Format a number with its sign, to about two digits."""
    size = abs(value)
    return f'{value:+,.{0 if size >= 10 else 1 if size >= 1 else 2}f}'


def _round_words(outlook: Outlook) -> str:
    """Name another round, its size and its cost."""
    if not outlook.ahead:
        return 'another round'
    count, price = outlook.requests, outlook.price
    unit = outlook.track.unit + 's' * (count != 1)
    cost = '' if price is None else f' ({cost_words(outlook, price)})'
    return f'another round of {count:,.0f} {unit}{cost}'


def cost_words(outlook: Outlook, price: Price) -> str:
    """Say what another round costs, and where that is known from."""
    cost = outlook.cost or 0.0
    if price.unit != 'hours':
        return f'about {cost:,.4g} {price.unit}, {price.source}'
    if cost < 1 / 60:
        time = f'{3600 * cost:.0f} s'
    elif cost < 2:
        time = f'{60 * cost:.0f} min'
    else:
        time = f'{cost:,.1f} h'
    return f'about {time} for one person, {price.source}'
