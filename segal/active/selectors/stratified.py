from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from segal.active.heuristics.utils import likeliest
from segal.registry import SELECTORS
from segal.seeding import place_keys
from segal.structures import PoolImage, Prediction

from .context import Floats, Ints
from .per_image import PixelsPerImage
from .quotas import quotas
from .top import Ties, best, within


@SELECTORS.register_module()
class PixelsStratified(PixelsPerImage):
    """Gives every image the same share, and in it every predicted class.

    An image's share is split over the classes that are predicted among its
    available pixels, as evenly as their numbers allow; what is left of an
    even division goes to classes drawn by key. Of each class the best pixels
    are picked. Random picks of ``shuffle_prop`` are not counted to a class.

    Source: stratified sampling with equal allocation, Cochran, Sampling
    Techniques, 1977, chapter 5; strata are the network's predictions.

    Args:
        context: See :class:`~segal.active.selectors.base.BaseSelector`.
        options: See the base; the draw from a top per cent does not go with
            this.

    Raises:
        ConfigError: ``top_percent`` is set.
    """

    needs: ClassVar[tuple[str, ...]] = ('probs',)
    takes: ClassVar[str] = 'the best of each predicted class'

    def pick(
        self,
        image: PoolImage,
        places: Ints,
        scores: Floats,
        quota: int,
        taken: Ints,
        prediction: Prediction | None,
    ) -> Ints:
        """Choose the best of each class; see the base."""
        return best_of_classes(
            predicted(prediction, places),
            scores,
            lambda at: self.ties(image.name, places[at]),
            quota,
            self.stream('class', image.name),
        )


def predicted(
    prediction: Prediction | None, places: Ints
) -> NDArray[np.uint8]:
    """Predict the class of some pixels: uint8 (n,)."""
    assert prediction is not None
    assert prediction.probs is not None
    classes = likeliest(prediction.probs).cpu().numpy().astype(np.uint8)
    return classes.reshape(-1)[places]


def best_of_classes(
    classes: NDArray[np.uint8],
    scores: Floats,
    ties: Ties,
    count: int,
    stream: int,
) -> Ints:
    """Find the best pixels of each class, equally many of each.

    From N classes and scores: int64 (min(count, N),), indices, by class. The
    ``stream`` draws which classes get the rest of an even division.
    """
    sizes = np.bincount(classes, minlength=1).astype(np.int64)
    # more than all cannot be taken of any, which keeps strata that were cut
    # to that in step with whole ones
    sizes = np.minimum(sizes, count)
    shares = quotas(count, sizes, place_keys(stream, np.arange(len(sizes))))
    parts = [np.empty(0, np.int64)]
    for one in np.flatnonzero(shares):
        members = np.flatnonzero(classes == one)
        at = best(scores[members], within(ties, members), int(shares[one]))
        parts.append(members[at])
    return np.concatenate(parts)
