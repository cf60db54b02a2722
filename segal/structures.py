"""Define the objects of a round, in the order they are made.

``Prediction -> score -> Candidates -> Selection -> Answers``. The frame of
reference is everywhere the image's own annotation grid (H, W); a place is a
flat index ``row * W + column`` into it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # tools that read label files need no torch
    from torch import Tensor

Unit = Literal['pixel', 'region', 'image']

Answer = Literal['all', 'dominant']
"""What is said of a region: the class of each pixel, or the one class that
most of its pixels have."""

Split = float | Literal['even', 'score_per_cost']
"""How a budget is split over images that a query opens and those that were
open: evenly, this share to the new ones, or by what promises more."""

WHOLE_IMAGE = -1
"""The place that stands for a whole image."""

LABELLED, VOID, REFUSED = 0, 1, 2
"""What became of a request: a class, no class there, or no answer."""


@dataclass(frozen=True)
class PoolImage:
    """One image that may be asked about.

    Attributes:
        name: Data set + relative path; the key of everything.
        size: (H, W) in pixels, as the image decoder gives it.
    """

    name: str
    size: tuple[int, int]

    @property
    def pixels(self) -> int:
        """H * W."""
        return self.size[0] * self.size[1]


@dataclass(frozen=True)
class Prediction:
    """What a heuristic may read about one image.

    Attributes:
        name: The image's name.
        size: (H, W) in pixels.
        seed: The experiment's seed.
        round: Round of the query, from 0.
        probs: float32 (C, H, W), sums to 1 over C. None only for heuristics
            that do not list ``'probs'`` in ``needs``.
        samples: Stochastic predictions, each float32 (C, H, W), one at a
            time and as many as are taken; only on request.
        views: Predictions of the image as it is, mirrored, and at other
            scales, each float32 (C, H, W) as the image lies; only on request.
        committee: Predictions of several networks, the round's own first,
            each float32 (C, H, W); only on request.
        embedding: float32 (D,), one vector for the image; only on request.
        features: float32 (F, h, w), a map of features; only on request.
        pool: Statistics of the whole pool; only on request.
    """

    name: str
    size: tuple[int, int]
    seed: int
    round: int
    probs: Tensor | None = None
    samples: Iterator[Tensor] | None = None
    views: Iterator[Tensor] | None = None
    committee: Iterator[Tensor] | None = None
    embedding: Tensor | None = None
    features: Tensor | None = None
    pool: Mapping[str, Tensor] | None = None

    def key(self, purpose: str) -> tuple[object, ...]:
        """Return the key of draws for this image and round."""
        return (self.seed, self.round, purpose, self.name)


@dataclass(frozen=True)
class Budget:
    """The budget of one round.

    Attributes:
        amount: Pixels, regions or images.
        per_image: Whether ``amount`` is for each image of the pool, or for
            the whole pool.
        in_pixels: Whether ``amount`` counts the pixels of regions.
        percent: For regions: so many per cent of the pixels of each image,
            or of the pool, in place of ``amount``.
    """

    amount: int
    per_image: bool
    in_pixels: bool = False
    percent: float | None = None

    @property
    def counts_pixels(self) -> bool:
        """Whether the pixels of regions are counted, not the regions."""
        return self.in_pixels or self.percent is not None


@dataclass
class Candidates:
    """Places worth asking about, best first within each image.

    Attributes:
        names: The K images that occur.
        image: int32 (N,), index into ``names``.
        places: int64 (N,), flat indices, or ``WHOLE_IMAGE``.
        scores: float32 (N,), higher = label first.
        ties: uint64 (N,), keyed draw; of equal scores the lower goes first.
        vectors: float32 (N, F), what the places look like; None where the
            selector does not read it.
        classes: uint8 (N,), what they are predicted as; None where the
            selector does not read it.
        sizes: int64 (N,), askable pixels of each region, whose numbers are
            ``places``; None where no regions are asked.
        orders: int64 (N,), when each region was taken in its image, from 0.
    """

    names: list[str]
    image: NDArray[np.int32]
    places: NDArray[np.int64]
    scores: NDArray[np.float32]
    ties: NDArray[np.uint64]
    vectors: NDArray[np.float32] | None = None
    classes: NDArray[np.uint8] | None = None
    sizes: NDArray[np.int64] | None = None
    orders: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.places)


@dataclass(frozen=True)
class Selection:
    """The requests of a round.

    Attributes:
        round: Which label file the answers go to; 0 holds the initial ones.
        unit: ``'pixel'`` or ``'image'``; regions are pixels that are asked
            together.
        places: name -> int64 (N,) sorted unique flat indices; for the unit
            ``'image'`` an empty array: the whole of it.
        scores: name -> float32 (N,), the scores of ``places`` ((1,) for a
            whole image); empty for the initial draw.
        regions: name -> int32 (N,), the region of each place, numbered from
            0 in each image; empty where no regions are asked.
        answer: What is said of a region; ``'all'`` where none is asked.
    """

    round: int
    unit: Unit
    places: dict[str, NDArray[np.int64]]
    scores: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    regions: dict[str, NDArray[np.int32]] = field(default_factory=dict)
    answer: Answer = 'all'

    @property
    def whole(self) -> bool:
        """Whether whole images are asked."""
        return self.unit == 'image'

    @property
    def one_class(self) -> bool:
        """Whether each item is answered by one class: no map of classes."""
        return not self.whole and (not self.regions or self.answer != 'all')

    @property
    def region_count(self) -> int:
        """Regions asked for; 0 where pixels or images are."""
        return sum(map(self.count, self.regions))

    def count(self, name: str) -> int:
        """Count the regions asked in an image, or pixels without regions."""
        if name not in self.regions:
            return len(self.places[name])
        return int(self.regions[name].max(initial=-1)) + 1

    def __len__(self) -> int:
        """Count the pixels or images asked for."""
        if self.whole:
            return len(self.places)
        return sum(len(places) for places in self.places.values())


def merged(
    parts: Sequence[Selection], images: Sequence[PoolImage]
) -> Selection:
    """Merge selections of different images.

    Args:
        parts: Of one round and one unit; no image is in two of them.
        images: In whose order the images come.
    """
    first = parts[0]
    answers = [part.answer for part in parts if part.regions]
    joined = Selection(
        first.round, first.unit, {}, answer=answers[0] if answers else 'all'
    )
    by_name = {name: part for part in parts for name in part.places}
    for name in (image.name for image in images):
        if name in by_name:
            part = by_name[name]
            joined.places[name] = part.places[name]
            if part.scores:
                joined.scores[name] = part.scores[name]
            if part.regions:
                joined.regions[name] = part.regions[name]
    return joined


@dataclass(frozen=True)
class PixelAnswers:
    """Answers to some pixels of one image.

    Attributes:
        places: int64 (N,), as asked.
        classes: uint8 (N,), training class ids; meaningless where ``status``
            is not ``LABELLED``.
        status: uint8 (N,), ``LABELLED``, ``VOID`` or ``REFUSED``.
    """

    places: NDArray[np.int64]
    classes: NDArray[np.uint8]
    status: NDArray[np.uint8]


@dataclass(frozen=True)
class ImageAnswers:
    """The answer to a whole image.

    Attributes:
        label_map: uint8 (H, W), training class ids, 255 where void; None
            where the image was refused.
    """

    label_map: NDArray[np.uint8] | None


@dataclass(frozen=True)
class Answers:
    """All answers of an oracle to one selection.

    Attributes:
        selection: What was asked.
        images: name -> the answers, for every name of the selection.
    """

    selection: Selection
    images: dict[str, PixelAnswers | ImageAnswers]
