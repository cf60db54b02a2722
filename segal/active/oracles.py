"""Who answers a query."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from segal.active.label_store.ids import describe_ids
from segal.active.label_store.store import LabelStore
from segal.active.units import unit_of
from segal.errors import ConfigError, DataError, nearest
from segal.registry import ORACLES
from segal.structures import (
    Answers,
    ImageAnswers,
    PixelAnswers,
    PoolImage,
    Selection,
)

_NO_CLASS = 255


class BaseOracle(ABC):
    """Answers selections; may say beforehand what it cannot be asked."""

    @abstractmethod
    def answer(self, selection: Selection) -> Answers:
        """The answers to every request of a selection.

        Args:
            selection: Names, and places or whole images.

        Returns:
            For pixels the same places, in the same order; for whole images a
            label map, or None where it was refused.
        """

    def askable(self, image: PoolImage) -> NDArray[np.bool_] | None:
        """Which places of an image may ever be asked.

        Args:
            image: Of the pool.

        Returns:
            bool (H, W), the same every time; None where that is everything.
        """
        return None

    def free(
        self, images: Sequence[PoolImage], store: LabelStore
    ) -> NDArray[np.int64]:
        """How many places are askable and not asked yet.

        Args:
            images: The pool, in the store's order.
            store: What was asked.

        Returns:
            int64 (P,).
        """
        return store.free()

    def describe(self) -> str:
        """One sentence for the log: who answers, and what void costs."""
        return f'{type(self).__name__} answers the queries.'


@ORACLES.register_module()
class GroundTruthOracle(BaseOracle):
    """Answers from annotation files, as a perfect annotator would.

    Args:
        read: Name of an image -> integer (H, W), training class ids, as the
            train pipeline's own LoadAnnotations gives them.
        pool: The images that may be asked about.
        classes: Names of the C classes.
        ignore_index: Is void, as 255 always is.
        void: ``'charge'``: void pixels can be asked, cost what others cost,
            and give no label; ground truth is read only for what was
            selected. ``'exclude'``: they are never asked, which the ground
            truth tells beforehand; of whole images only those are left out
            that are nothing but void.
    """

    def __init__(
        self,
        read: Callable[[str], NDArray[np.integer]],
        pool: Sequence[PoolImage],
        classes: Sequence[str],
        ignore_index: int = 255,
        void: Literal['charge', 'exclude'] = 'charge',
    ) -> None:
        policies = ('charge', 'exclude')
        if void not in policies:
            raise ConfigError(
                f'active_learning.oracle.void: {void!r} is not a policy'
                f'{nearest(void, policies)}'
            )
        if not 0 < len(classes) <= _NO_CLASS:
            raise ConfigError(
                f'classes: wanted 1 to {_NO_CLASS}, got {len(classes)}'
            )
        self.read = read
        self.classes = classes
        self.ignore_index = ignore_index
        self.void = void
        self._images = {image.name: image for image in pool}
        self._askable_counts: dict[str, int] = {}

    def describe(self) -> str:
        """One sentence for the log."""
        if self.void == 'charge':
            return (
                'Ground truth answers the queries; void pixels can be asked '
                'and are charged to the budget.'
            )
        return (
            'Ground truth answers the queries and excludes void pixels from '
            'them beforehand, which no annotator could.'
        )

    def askable(self, image: PoolImage) -> NDArray[np.bool_] | None:
        """Where there is a class, for ``void='exclude'``; else everything."""
        if self.void == 'charge':
            return None
        mask = self.truth(image.name) != _NO_CLASS  # (H, W)
        self._askable_counts[image.name] = int(np.count_nonzero(mask))
        return mask

    def free(
        self, images: Sequence[PoolImage], store: LabelStore
    ) -> NDArray[np.int64]:
        """See the base; with ``'exclude'`` all ground truth is read, once.

        Every pixel asked so far was askable, so counts suffice.
        """
        free = store.free()
        if self.void == 'exclude':
            for i, image in enumerate(images):
                if free[i] and image.name not in self._askable_counts:
                    self.askable(image)
                never = image.pixels - self._askable_counts.get(image.name, 0)
                free[i] = max(0, free[i] - never)
        return free

    def answer(self, selection: Selection) -> Answers:
        """Look everything up; see the base.

        Raises:
            DataError: An annotation is of another size than its image, holds
                an id that is no class, or cannot be read.
        """
        unit = unit_of(selection)
        answers: dict[str, PixelAnswers | ImageAnswers] = {}
        for name, places in selection.places.items():
            truth = self.truth(name)  # (H, W)
            regions = selection.regions.get(name)
            answers[name] = unit.answers(truth, places, regions)
        return Answers(selection, answers)

    def truth(self, name: str) -> NDArray[np.uint8]:
        """An image's annotation, checked.

        Args:
            name: Of the image.

        Returns:
            uint8 (H, W), 255 where void.

        Raises:
            DataError: See :meth:`answer`.
        """
        image = self._images[name]
        try:
            truth = np.asarray(self.read(name))
        except OSError as error:
            raise DataError(
                f'{name!r}: its annotation cannot be read ({error}); restore '
                'the file, or take the image out of the pool'
            ) from error
        if truth.shape != tuple(image.size):
            raise DataError(
                f'{name!r}: wanted an annotation of the size of its image, '
                f'{tuple(image.size)} (height, width), got {truth.shape}'
                f'{colours_in(truth)}; write both with one converter'
            )
        if not np.issubdtype(truth.dtype, np.integer):
            raise DataError(
                f'{name!r}: wanted an annotation of whole class ids, got '
                f'{truth.dtype}'
            )
        void = (truth == self.ignore_index) | (truth == _NO_CLASS)
        odd = ~void & ((truth < 0) | (truth >= len(self.classes)))
        if odd.any():
            ids = np.unique(truth[odd])
            raise DataError(
                f'{name!r}: wanted class ids 0 to {len(self.classes) - 1}, or '
                f'{self.ignore_index} where void, got {ids[:10].tolist()} '
                f'too, at {int(odd.sum())} pixels: '
                + describe_ids(np.unique(truth).tolist(), len(self.classes))
                + '; set reduce_zero_label if ids start at 1, correct '
                'classes, or convert the annotations with a tool of '
                'tools/convert_datasets'
            )
        return np.where(void, _NO_CLASS, truth).astype(np.uint8)


def colours_in(truth: NDArray[np.generic]) -> str:
    """What to say where an annotation has several channels."""
    if truth.ndim < 3:
        return ''
    return (
        ', colours in place of class ids (for a PNG with a palette, '
        "LoadAnnotations(imdecode_backend='pillow') reads its ids)"
    )
