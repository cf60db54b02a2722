"""Define the query unit: what a budget counts and an oracle answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from fractions import Fraction
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segal.active.units.costs import Asked, Costs
from segal.structures import (
    Answer,
    Budget,
    ImageAnswers,
    PixelAnswers,
    PoolImage,
    Unit,
)

NO_CLASS = 255
"""The class id of what has no class."""


class Fit(NamedTuple):
    """Counts how many units of an untouched image can be asked, one by one.

    Attributes:
        least: So many at least, wherever they are chosen.
        most: So many at most.
        exact: Whether both are known; False where they are estimated.
    """

    least: int
    most: int
    exact: bool


class Packed(NamedTuple):
    """The checked answers of one image, as a label file holds them.

    Attributes:
        places: int64 (n,), flat indices; none for a whole image.
        classes: uint8 (n,), 255 where there is none.
        status: uint8 (n,), or (1,) for a whole image.
        label_map: uint8 (H, W) of a whole image that was answered, else None.
        shares: int32 (3,), pixels of a whole image that are newly labelled,
            void and refused; (0,) otherwise.
    """

    places: NDArray[np.int64]
    classes: NDArray[np.uint8]
    status: NDArray[np.uint8]
    label_map: NDArray[np.uint8] | None = None
    shares: NDArray[np.int32] = np.empty(0, np.int32)


class QueryUnit:
    """One kind of question, such as the class of a pixel or of a region.

    An object says how its unit is counted, asked, priced, answered, packed
    into label files, and drawn. Everything else calls it and does not look
    at which unit it is.

    To add a unit, subclass one of the three below and register the class in
    :data:`segal.registry.UNITS`. A label file can hold what these three ask:

    - :class:`~segal.active.units.pixels.Pixels`: single pixels;
    - :class:`~segal.active.units.region.Region`: pixels that are asked
      together, such as squares, superpixels, boxes or polygons;
    - :class:`~segal.active.units.images.Images`: whole images.

    Attributes:
        name: What ``runner.sample_mode`` calls it.
        stored: What label files call it; pixels of regions are stored as
            pixels.
        first_key: Key of ``settings`` with the count of the first labels.
        selector_keys: Key of its ``settings`` -> argument of a selector that
            the key sets.
        whole: Whether every pixel of an image is asked at once.
        grouped: Whether several pixels are one request.
        drawn: How pictures show it: a mark on each pixel, an area, or a
            sheet of the images.
        reads_images: Whether it is built with ``read_image`` (name -> uint8
            (H, W, 3), RGB), ``file`` (name -> path) and ``cache``, a folder.
        answer: What is said of a unit: ``'all'``, the class of each of its
            pixels; ``'dominant'``, the one that most of them have.
    """

    name: ClassVar[Unit]
    stored: ClassVar[Literal['pixel', 'image']] = 'pixel'
    first_key: ClassVar[str]
    selector_keys: ClassVar[dict[str, str]] = {'aggregate': 'aggregate'}
    whole: ClassVar[bool] = False
    grouped: ClassVar[bool] = False
    drawn: ClassVar[Literal['marks', 'areas', 'sheet']] = 'marks'
    reads_images: ClassVar[bool] = False
    answer: Answer = 'all'

    def answered(self, answer: Answer) -> QueryUnit:
        """Copy the unit, with another ``answer``."""
        other = copy(self)
        other.answer = answer
        return other

    # how it is counted

    def typical_pixels(self, image: PoolImage) -> int:
        """Count the pixels that one unit of an image has, about."""
        return 1

    def fit(self, image: PoolImage, count: bool = True) -> Fit:
        """Count the units of an image that can be asked.

        Args:
            image: Which one.
            count: Whether the image may be read and cut for it, which takes
                a while; else the number may be estimated.
        """
        return Fit(image.pixels, image.pixels, True)

    def capacity(self, pool: Sequence[PoolImage]) -> int:
        """Count the units that a pool has at most."""
        return sum(image.pixels for image in pool)

    # how it is asked

    def usual_selector(
        self, evenly: bool, top_percent: float | None, aggregate: str
    ) -> dict[str, Any]:
        """Name the selector that is used where a config names none.

        Args:
            evenly: Whether every image gets the same share.
            top_percent: Of each image, to draw from; None: the best.
            aggregate: How the scores of a unit's pixels become its score.
        """
        raise NotImplementedError

    def in_words(self, budget: Budget, where: str) -> str:
        """Say how much a budget is.

        Args:
            budget: Of this unit.
            where: Such as ``'of each image'``.
        """
        return f'{budget.amount:,} {self.name}s {where}'

    # how it is priced

    def price(self, costs: Costs) -> Fraction:
        """Return the price of one unit; 0 where each has another price."""
        raise NotImplementedError

    def price_in_words(self, costs: Costs) -> str:
        """Say what one unit costs."""
        price = float(self.price(costs))
        return f'{price:g} {costs.unit} for each {self.name}'

    def asked(self, count: int, opened: int, shares: float = 0.0) -> Asked:
        """Count what some units are paid by.

        Args:
            count: How many units.
            opened: Images of which nothing was asked before.
            shares: The share of its image that each unit has, added up.
        """
        raise NotImplementedError

    def told(self, asked: Asked) -> dict[str, Any]:
        """Say in a row of ``rounds.json`` what a label file asked."""
        return {}

    # how it is answered, and packed into a label file

    def answers(
        self,
        truth: NDArray[np.uint8],
        places: NDArray[np.int64],
        regions: NDArray[np.int32] | None,
    ) -> PixelAnswers | ImageAnswers:
        """Answer what was asked of one image, as a perfect annotator would.

        Args:
            truth: uint8 (H, W), 255 where void.
            places: int64 (N,), flat indices; none for a whole image.
            regions: int32 (N,), the region of each place; None without.
        """
        raise NotImplementedError

    def pack(
        self,
        image: PoolImage,
        places: NDArray[np.int64],
        answer: PixelAnswers | ImageAnswers,
        available: Callable[[str], NDArray[np.bool_]],
    ) -> Packed:
        """Check the answers of one image, and pack them for a label file.

        Args:
            image: Which one.
            places: int64 (N,), as asked; none for a whole image.
            answer: To them.
            available: Name -> bool (H, W), places not asked before.

        Raises:
            RuntimeError: They are not the answers to what was asked.
        """
        raise NotImplementedError
