"""Compute what labels cost, from a table of prices and what was asked.

No label file holds costs. They follow from the label files and from the table
of the config, so another table may be used for a finished run. What was asked
is paid, whatever the answer.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from fractions import Fraction

DEFAULT_UNIT = 'seconds'
"""The only unit that the default prices are in."""


def exact(price: float) -> Fraction:
    """Turn a price into an exact fraction, so that sums do not drift."""
    return Fraction(str(price))


@dataclass(frozen=True)
class Asked:
    """Counts what one label file asked, or several together.

    Attributes:
        pixels: Single pixels.
        images: Whole images; one counts in full, also where pixels of it
            were asked before.
        regions: Regions of which every pixel was to be labelled.
        region_shares: The share that each of them has of its image's pixels,
            in (0, 1], added up.
        superpixels: Regions of which one class was asked, the dominant one.
        opened: Images of which nothing was asked before.
    """

    pixels: int = 0
    images: int = 0
    regions: int = 0
    region_shares: float = 0.0
    superpixels: int = 0
    opened: int = 0

    @property
    def requests(self) -> int:
        """Pixels, images and regions together."""
        return self.pixels + self.images + self.regions + self.superpixels

    def __add__(self, other: Asked) -> Asked:
        return Asked(
            *(a + b for a, b in zip(astuple(self), astuple(other),
                                    strict=True))
        )  # fmt: skip


@dataclass(frozen=True)
class Costs:
    """A cost table: one price for each kind of request.

    The defaults are what annotators of PASCAL VOC 2012 took, in seconds, for
    a click on an object of a given class and for all pixels of an image.

    Source: Bearman et al., What's the Point: Semantic Segmentation with
    Point Supervision, ECCV 2016.

    Attributes:
        unit: Of all prices, such as ``'seconds'`` or ``'clicks'``.
        pixel: Of one pixel asked.
        region: Of one region, all of its pixels; None: the share that it has
            of its image's pixels, times ``image``.
        superpixel: Of one region answered by its dominant class; None: as
            one pixel, which is a single click, too.
        image: Of one whole image.
        open: Of looking at an image of which nothing was asked before; on
            top of what is asked there.
    """

    unit: str = DEFAULT_UNIT
    pixel: float = 2.4
    region: float | None = None
    superpixel: float | None = None
    image: float = 239.7
    open: float = 0.0

    @property
    def click(self) -> float:
        """The price of one region answered by its dominant class."""
        return self.pixel if self.superpixel is None else self.superpixel

    def of(self, asked: Asked) -> Fraction:
        """Compute what some requests cost, exactly.

        Returns:
            In ``unit``, 0 or more.
        """
        regions = (
            exact(asked.region_shares) * exact(self.image)
            if self.region is None
            else asked.regions * exact(self.region)
        )
        return (
            asked.pixels * exact(self.pixel)
            + regions
            + asked.superpixels * exact(self.click)
            + asked.images * exact(self.image)
            + asked.opened * exact(self.open)
        )


DEFAULTS = Costs()
"""What counts where a config says nothing of costs."""
