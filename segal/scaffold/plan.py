"""Choose sizes, split and budget of a first experiment."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from statistics import median

import torch

from segal.active.units.costs import Asked, Costs
from segal.scaffold.copies import note_copies
from segal.scaffold.images import Folder
from segal.seeding import key

UNITS = ('pixel', 'superpixel', 'square', 'image')

LONGEST = {'cpu': 384, 'gpu': 768}
"""Longer side of an image in training, in pixels, at most."""

STRIDE = 32
"""Sides of a crop are multiples of it: the stride of the network."""

SECONDS = 3600
"""Time of a person that one round asks at most."""

CLICKS = {'pixel': 50, 'superpixel': 30, 'square': 30}
"""Most that one round asks of each image, on average."""

ROUNDS = 5

SEEN = (480, 1920)
"""Least and most samples that the network sees in a round."""

SEEN_PIXELS = {'cpu': 50_000_000, 'gpu': 1_000_000_000}
"""Pixels of these samples, where their number lies between the two: one or
two minutes."""

LARGE = 256 * 256
"""Pixels of a crop from which a batch is small."""

POINTS = 50
"""Points that `segal annotate val` asks in a held-out image."""


@dataclass(frozen=True)
class Plan:
    """All that the config of an experiment says in numbers.

    Attributes:
        train: Names of the images of the pool.
        val: Names of the held-out images.
        scale: (width, height) that images are fitted into.
        crop: (height, width) of a training sample.
        batch: Samples of an iteration.
        epochs: Of a round.
        unit: What is asked, one of ``UNITS``.
        budget: How many of them a round asks.
    """

    train: list[str]
    val: list[str]
    scale: tuple[int, int]
    crop: tuple[int, int]
    batch: int
    epochs: int
    unit: str
    budget: int

    @property
    def round_seconds(self) -> float:
        """Return the time of a person for one round."""
        return float(price(self.unit, self.budget))

    @property
    def val_seconds(self) -> float:
        """Return the time of a person for the held-out images."""
        return float(price('pixel', POINTS * len(self.val)))


def price(unit: str, amount: int) -> Fraction:
    """Compute the seconds that so many requests take a person."""
    kind = {'pixel': 'pixels', 'image': 'images'}.get(unit, 'superpixels')
    return Costs().of(Asked(**{kind: amount}))


def make_plan(images: Folder, unit: str, people: bool) -> Plan:
    """Choose sizes, split and budget for some images.

    Args:
        images: The images.
        unit: What is asked.
        people: Whether the held-out images are yet to be labelled by people.
    """
    copies = note_copies(images)
    names = [one.name for one in images.photos if one.name not in copies]
    train, val = split(names, 30 if people else 500)
    for side in (train, val):  # nothing is held out that is learned, too
        drawn = set(side)
        side += [name for name, first in copies.items() if first in drawn]
        side.sort()
    heights, widths = zip(*(one.upright for one in images.photos), strict=True)
    high, wide = median(heights), median(widths)
    device = 'gpu' if torch.cuda.is_available() else 'cpu'
    longest = max(STRIDE, min(LONGEST[device], round(max(high, wide))))
    shrink = longest / max(high, wide)
    turned = sum(h > w for h, w in zip(heights, widths, strict=True))
    if 0 < turned < len(heights):  # upright and oblong ones
        high = wide = min(high, wide)
    crop = (_side(high * shrink), _side(wide * shrink))
    area = crop[0] * crop[1]
    seen = max(SEEN[0], min(SEEN[1], SEEN_PIXELS[device] // area))
    pixels = min(h * w for h, w in zip(heights, widths, strict=True))
    return Plan(
        train,
        val,
        (longest, longest),
        crop,
        batch=max(2, min(4 if area > LARGE else 8, len(train) // 2)),
        epochs=max(4, round(seen / len(train))),
        unit=unit,
        budget=budget_of(unit, len(train), pixels),
    )


def _side(length: float) -> int:
    """Round a side up to a multiple of the stride."""
    return int(-(-round(length) // STRIDE) * STRIDE)


def split(names: list[str], most: int) -> tuple[list[str], list[str]]:
    """Hold 15 % of some images out, at least 3 where there are 6 or more.

    Returns:
        The others and those held out, each sorted. The draw depends on names
        alone, so that images added later move none that stays held out.
    """
    number = min(most, max(round(0.15 * len(names)), 3), len(names) // 2)
    drawn = sorted(names, key=lambda name: key('held out', name))
    return sorted(drawn[number:]), sorted(drawn[:number])


def budget_of(unit: str, images: int, pixels: int) -> int:
    """Choose how much a round asks: an hour, or less in a small pool."""
    hour = int(SECONDS / price(unit, 1))
    if unit == 'image':
        return max(1, min(hour, images // ROUNDS))
    room = CLICKS[unit] if unit == 'pixel' else min(
        CLICKS[unit], pixels // (25 * 2 * ROUNDS)
    )  # fmt: skip
    room = min(room, pixels // (2 * ROUNDS))
    return max(1, min(hour, max(1, room) * images))


def hours(seconds: float) -> str:
    """Write a time of a person: ``'34 min'``, ``'2 h 50 min'``."""
    minutes = max(1, round(seconds / 60))
    if minutes < 60:
        return f'{minutes} min'
    return f'{minutes // 60} h {minutes % 60:02d} min'
