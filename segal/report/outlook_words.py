"""Put an outlook into sentences, for the terminal and the report."""

from __future__ import annotations

from segal.report.extrapolate import LEVEL
from segal.report.outlook import Outlook
from segal.report.track import Price

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
