"""Answer queries: the oracle base class, and ground truth from files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from segal.active.label_store.ids import check_annotation
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
    """Answers selections, and may exclude places from all of them.

    Attributes:
        wants_predictions: Whether :meth:`freeze` is to be told what the
            network that asks predicts for each item.
    """

    wants_predictions = False

    @abstractmethod
    def answer(self, selection: Selection) -> Answers:
        """Answer every request of a selection.

        Returns:
            For pixels the same places in the same order; for a whole image a
            label map, or None where the image was refused.
        """

    def freeze(
        self,
        selection: Selection,
        store: LabelStore,
        probs: NDArray[np.float32] | None = None,
    ) -> None:
        """Keep a request before anybody is asked.

        An oracle that answers at once keeps nothing.

        Args:
            selection: The checked request of the next round, on rank 0.
            store: With all earlier requests.
            probs: float32 (items, C), the mean class probabilities of each
                item; None where no network asks, none are wanted, or an
                answer is more than one class.
        """
        return

    def frozen(self, store: LabelStore) -> Selection | None:
        """Return the request that was frozen and is not answered yet.

        Args:
            store: With all earlier requests; the round is ``store.rounds``.

        Returns:
            None where the next round was not asked yet.
        """
        return None

    def collect(self, selection: Selection, store: LabelStore) -> Answers:
        """Collect the answers to a frozen request, on rank 0.

        Returns:
            Answers to the selection, or to a part of it where the round was
            closed early; whole regions and whole images.

        Raises:
            AnswersWanted: Answers are missing; the run ends, and collects
                again when it is started again.
        """
        return self.answer(selection)

    def committed(self, store: LabelStore) -> None:
        """Take note that the answers of the last round are stored."""
        return

    def seconds(self, round: int) -> float | None:
        """Return how long people took for the answers of a round.

        Returns:
            Seconds; None where nobody measured them.
        """
        return None

    def askable(self, image: PoolImage) -> NDArray[np.bool_] | None:
        """Find the places of an image that may be asked.

        Returns:
            bool (H, W), the same in every round; None for all places.
        """
        return None

    def free(
        self, images: Sequence[PoolImage], store: LabelStore
    ) -> NDArray[np.int64]:
        """Count the askable places that were not asked yet: int64 (P,)."""
        return store.free()

    def known_truth(self, name: str) -> NDArray[np.uint8] | None:
        """Return the ground truth of an image, for pictures alone.

        Returns:
            uint8 (H, W), 255 where void; None where it is not known.
        """
        return None

    def describe(self) -> str:
        """Write a sentence for the log: who answers, and what void costs."""
        return f'{type(self).__name__} answers the queries.'


@ORACLES.register_module()
class GroundTruthOracle(BaseOracle):
    """Answers from annotation files, as a perfect annotator would.

    Args:
        read: Name of an image -> integer (H, W), training class ids, as the
            LoadAnnotations of the train pipeline returns them.
        pool: The images that may be asked.
        classes: Names of the C classes.
        ignore_index: The id of void, beside 255.
        void: ``'charge'``: void pixels can be asked, cost as much as others,
            and give no label; only the ground truth of selected images is
            read. ``'exclude'``: void pixels are never asked; the ground truth
            of all images is read to find them. A whole image is left out only
            if all of it is void.
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
        """Write a sentence for the log."""
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
        """Find the places with a class if void is excluded; else None."""
        if self.void == 'charge':
            return None
        mask = self.truth(image.name) != _NO_CLASS  # (H, W)
        self._askable_counts[image.name] = int(np.count_nonzero(mask))
        return mask

    def free(
        self, images: Sequence[PoolImage], store: LabelStore
    ) -> NDArray[np.int64]:
        """Count the askable places that were not asked yet; see the base.

        With ``'exclude'`` the ground truth of each image is read once. Only
        askable pixels were asked, so counts suffice.
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
        """Look up every answer in the ground truth; see the base.

        Raises:
            DataError: An annotation differs from its image in size, holds an
                id that is no class, or cannot be read.
        """
        unit = unit_of(selection)
        answers: dict[str, PixelAnswers | ImageAnswers] = {}
        for name, places in selection.places.items():
            truth = self.truth(name)  # (H, W)
            regions = selection.regions.get(name)
            answers[name] = unit.answers(truth, places, regions)
        return Answers(selection, answers)

    def known_truth(self, name: str) -> NDArray[np.uint8] | None:
        """Read the annotation of an image; None where that fails."""
        try:
            return self.truth(name)
        except DataError:
            return None

    def truth(self, name: str) -> NDArray[np.uint8]:
        """Read and check the annotation of an image.

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
        check_annotation(
            truth,
            repr(name),
            'data.train',
            image.size,
            len(self.classes),
            len(self.classes) - 1,
            (self.ignore_index, _NO_CLASS),
        )
        void = truth == self.ignore_index
        return np.where(void, _NO_CLASS, truth).astype(np.uint8)
