"""Read from the rows of a run what was asked, reached and paid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

HOURS = {'seconds': 1 / 3600, 'minutes': 1 / 60, 'hours': 1.0}
"""Units of cost that are times -> hours."""

MEASURED = 'measured'
"""Source of a price: what people's answers took."""

PRICED = 'at the prices of active_learning.costs'
OTHER = 'at the prices of --costs'
DEFAULT = "at SegAL's default prices"


@dataclass(frozen=True)
class Price:
    """What one request takes.

    Attributes:
        each: In ``unit``.
        unit: ``'hours'``, or what ``active_learning.costs`` counts in.
        source: Where the number comes from, in words.
    """

    each: float
    unit: str
    source: str


@dataclass(frozen=True)
class Track:
    """A run, or the mean of several, as far as it has come.

    Attributes:
        unit: What one request is: ``'pixel'``, ``'region'`` or ``'image'``.
        asked: Requests until each round, (N,).
        miou: Of each round's last epoch, in per cent; None where unknown.
        left: Requests that the pool can still take; None where that is not
            known.
        price: Of one request; None where it has none.
    """

    unit: str
    asked: tuple[float, ...]
    miou: tuple[float | None, ...]
    left: float | None = None
    price: Price | None = None

    @property
    def last_round(self) -> float:
        """Requests of the last round."""
        return self.asked[-1] - (self.asked[-2] if self.asked[1:] else 0)


def track_of(
    rows: Sequence[dict[str, Any]],
    costs: Any = None,
    paid: Sequence[float] | None = None,
    paid_unit: str = '',
    other: bool = False,
) -> Track:
    """Read the rows of ``rounds.json``.

    Args:
        rows: One or more, with their seconds.
        costs: What the config says of ``active_learning.costs``; None: the
            default prices count.
        paid: Cost until each round at other prices, which then count.
        paid_unit: Of ``paid``.
        other: Whether these are not the prices of the config.
    """
    unit, asked, left = _asked(rows)
    source = OTHER if other else DEFAULT if costs is None else PRICED
    if paid is None:
        known = [row.get('cost') or {} for row in rows]
        if all(known):
            paid = np.cumsum([one['round'] for one in known]).tolist()
            paid_unit = known[-1]['unit']
    price = _measured(rows, asked)
    if price is None and paid is not None:
        each = np.diff(paid, prepend=0).tolist()
        price = _priced(each, asked, paid_unit, source)
    miou = tuple(
        None if row.get('mIoU') is None else 100 * float(row['mIoU'])
        for row in rows
    )
    return Track(unit, tuple(np.cumsum(asked).tolist()), miou, left, price)


def mean_track(tracks: Sequence[Track]) -> Track:
    """Average runs of one heuristic over the rounds that all have."""
    rounds = min(len(one.asked) for one in tracks)
    columns = zip(*(one.miou[:rounds] for one in tracks), strict=True)
    asked = np.mean([one.asked[:rounds] for one in tracks], axis=0)
    left = [one.left for one in tracks if one.left is not None]
    prices = [one.price for one in tracks if one.price is not None]
    price = None
    kinds = {(one.unit, one.source) for one in prices}
    if len(prices) == len(tracks) and len(kinds) == 1:
        each = float(np.mean([one.each for one in prices]))
        price = Price(each, prices[0].unit, prices[0].source)
    return Track(
        tracks[0].unit,
        tuple(asked.tolist()),
        tuple(
            None if None in column else float(np.mean(column))
            for column in columns
        ),
        min(left) if left else None,
        price,
    )


def _asked(
    rows: Sequence[dict[str, Any]],
) -> tuple[str, list[float], float | None]:
    """Count the requests of each round, and what the pool has left."""
    pool, total = rows[-1]['pool'], rows[-1]['total']
    unit = str(rows[0].get('unit', 'pixel'))
    if unit == 'image':
        images = [float(row['total']['images']) for row in rows]
        left = float(pool['images'] - total['images'])
        return 'image', np.diff(images, prepend=0).tolist(), left
    left = float(pool['pixels'] - total['requested'])
    if all('regions' in row for row in rows):
        regions = [float(row['regions']) for row in rows]
        return 'region', regions, None if left else 0.0
    requested = [float(row['total']['requested']) for row in rows]
    return 'pixel', np.diff(requested, prepend=0).tolist(), left


def _measured(
    rows: Sequence[dict[str, Any]], asked: Sequence[float]
) -> Price | None:
    """Compute a price from the rounds in which people's time is known."""
    known = [
        (float(seconds), count)
        for row, count in zip(rows, asked, strict=True)
        if (seconds := (row.get('seconds') or {}).get('annotation'))
        is not None
    ]
    seconds, count = np.sum(known, axis=0) if known else (0, 0)
    if not (seconds > 0 and count > 0):
        return None
    return Price(float(seconds / count) / 3600, 'hours', MEASURED)


def _priced(
    own: Sequence[float], asked: Sequence[float], unit: str, source: str
) -> Price | None:
    """Compute a price from the cost of the last round that asked."""
    for cost, count in zip(own[::-1], asked[::-1], strict=True):
        if count > 0:
            scale = HOURS.get(unit)
            named = unit if scale is None else 'hours'
            each = cost / count * (scale or 1)
            return Price(each, named, source) if each > 0 else None
    return None
