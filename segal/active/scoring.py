"""Predict and score the images of a pool."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segal.active.dataset.pool import Pool, query_loader
from segal.active.heuristics import BaseHeuristic
from segal.active.heuristics.utils import likeliest
from segal.distributed import ranks, stopping
from segal.features.of_pool import PoolFeatures
from segal.features.segmentor import NetworkFeatures
from segal.model_wrapper import PREDICTED, ModelWrapper
from segal.structures import PoolImage, Prediction, Selection
from segal.terminal import progress

Statistics = dict[str, Tensor] | None


@dataclass(eq=False)
class Scorer:
    """Scores images of a pool; uses neither labels nor a budget.

    Args:
        pool: The images.
        seed: Of all draws.
        batch_size: Images a forward pass.
        workers: Loader processes a rank.
        features: Gives embeddings and maps of features; None: there are none.
    """

    pool: Pool
    seed: int
    batch_size: int = 1
    workers: int = 2
    features: PoolFeatures | None = None

    def __post_init__(self) -> None:
        self._statistics: WeakKeyDictionary[Any, dict[str, Tensor]]
        self._statistics = WeakKeyDictionary()  # a network ends with its round

    def reads_network(self, needs: Collection[str]) -> bool:
        """Say whether the network must see an image for some needs."""
        return not set(PREDICTED).isdisjoint(needs) or (
            self.features is not None and self.features.wants_network(needs)
        )

    def scores(
        self,
        images: Sequence[PoolImage],
        heuristic: BaseHeuristic,
        wrapper: ModelWrapper | None,
        statistics: Statistics,
        file: int,
        what: str = '',
        needs: Collection[str] = (),
    ) -> Iterator[tuple[PoolImage, NDArray[np.float32], Prediction]]:
        """Score this rank's share of some images, one after the other.

        Args:
            images: The same on every rank.
            heuristic: Gives the scores.
            wrapper: The network, None where the heuristic needs none.
            statistics: From :meth:`statistics`.
            file: Number of the label file, for what is drawn.
            what: For the progress bar; ``query`` and the file by default.
            needs: Of the predictions, beside what the heuristic needs.

        Yields:
            The image; its score, float32 (H, W); and what the score is of.
        """
        for prediction in self.predictions(
            images,
            wrapper,
            what or f'query {file}',
            {*heuristic.needs, *needs},
            file,
        ):
            image = self.pool[self.pool.position[prediction.name]]
            score = heuristic(replace(prediction, pool=statistics))
            yield image, score.cpu().numpy(), prediction

    def statistics(
        self, heuristic: BaseHeuristic, wrapper: ModelWrapper | None
    ) -> Statistics:
        """Compute what a heuristic needs of the whole pool.

        Returns:
            ``class_counts``: int64 (C,), how many pixels of the pool are
            predicted as each class; None where ``'pool'`` is not needed.
        """
        if 'pool' not in heuristic.needs or wrapper is None:
            return None
        if wrapper in self._statistics:
            return self._statistics[wrapper]
        total: Tensor | None = None
        with ranks.together():
            for prediction in self.predictions(
                self.pool.images, wrapper, 'classes of the pool', ('probs',)
            ):
                assert prediction.probs is not None
                counts = torch.bincount(
                    likeliest(prediction.probs).flatten(),
                    minlength=len(prediction.probs),
                ).cpu()  # (C,)
                total = counts if total is None else total + counts
        parts = ranks.gather_everywhere(total)
        counts = torch.stack([x for x in parts if x is not None]).sum(dim=0)
        self._statistics[wrapper] = dict(class_counts=counts)
        return self._statistics[wrapper]

    def of_items(
        self, selection: Selection, wrapper: ModelWrapper
    ) -> NDArray[np.float32]:
        """Predict the mean class probabilities of each item of a selection.

        Returns:
            On rank 0 float32 (items, C), by image in the order of the
            selection, within an image by place or region; elsewhere empty.
        """
        images = [
            self.pool[self.pool.position[name]] for name in selection.places
        ]
        means = {}
        with ranks.together():
            for found in self.predictions(
                images,
                wrapper,
                f'predictions for query {selection.round}',
                ('probs',),
                selection.round,
            ):
                assert found.probs is not None
                means[found.name] = _means(
                    found.probs,
                    selection.places[found.name],
                    selection.regions.get(found.name),
                )
        every = {k: v for part in ranks.gather(means) for k, v in part.items()}
        rows = [every[name] for name in selection.places if name in every]
        return np.concatenate(rows) if rows else np.empty((0, 0), np.float32)

    def predictions(
        self,
        images: Sequence[PoolImage],
        wrapper: ModelWrapper | None,
        what: str,
        needs: Collection[str],
        file: int = 0,
    ) -> Iterator[Prediction]:
        """Predict this rank's share of some images.

        Args:
            images: The same on every rank.
            wrapper: None where no network is needed.
            what: For the progress bar.
            needs: What of a prediction is wanted; nothing else is made.
            file: Number of the label file, for what is drawn.
        """
        mine = images[ranks.rank() :: ranks.world_size()]
        bar = progress(len(mine), what, disable=not ranks.is_main())
        with bar:
            if wrapper is None:
                for image in mine:
                    stopping.check()
                    bar.update()
                    yield self._known(image, needs, file)
                return
            loader, batches = query_loader(
                self.pool,
                [image.name for image in mine],
                self.batch_size,
                self.workers,
            )
            with wrapper.evaluating():
                for batch, names in zip(loader, batches, strict=True):
                    for found in self.seen(batch, names, wrapper, needs, file):
                        stopping.check()
                        bar.update()
                        yield found

    def seen(
        self,
        batch: dict[str, Any],
        names: Sequence[str],
        wrapper: ModelWrapper,
        needs: Collection[str],
        file: int,
    ) -> Iterator[Prediction]:
        """Predict a batch.

        Args:
            batch: mmseg test batch.
            names: Of its images.
            wrapper: The network, within its ``evaluating``.
            needs: What of a prediction is wanted; nothing else is made.
            file: Number of the label file, for what is drawn.
        """
        with self._tapping(wrapper, needs) as tap:
            together = None
            if 'probs' in needs or tap is not None:
                together = wrapper.probabilities(batch)
            if tap is not None:
                tap.take(batch)
            for i, name in enumerate(names):
                image = self.pool[self.pool.position[name]]
                known = self._known(image, needs, file)
                own = None if together is None else together[i]
                found = replace(known, probs=own)
                if tap is not None:
                    found = tap.add(found, i)
                with wrapper.more(batch, i, needs, found) as more:
                    yield more

    def _known(
        self, image: PoolImage, needs: Collection[str], file: int
    ) -> Prediction:
        """Describe an image without the network."""
        found = Prediction(image.name, image.size, self.seed, file)
        if self.features is None:
            return found
        return self.features.add(found, needs)

    def _tapping(
        self, wrapper: ModelWrapper, needs: Collection[str]
    ) -> AbstractContextManager[NetworkFeatures | None]:
        """Listen to the network, where features are its own."""
        if self.features is None:
            return nullcontext()
        return self.features.tapping(wrapper, needs)


def _means(
    probs: Tensor,
    places: NDArray[np.int64],
    regions: NDArray[np.int32] | None,
) -> NDArray[np.float32]:
    """Average the class probabilities of an image over each of its items.

    Args:
        probs: float32 (C, H, W).
        places: (N,), flat indices.
        regions: (N,), the region of each; None: each is an item of its own.

    Returns:
        float32 (items, C).
    """
    at = torch.from_numpy(places).to(probs.device)
    asked = probs.flatten(1)[:, at].T.cpu().numpy()  # (N, C)
    if regions is None:
        return asked
    sums = [np.bincount(regions, column) for column in asked.T]
    means = np.stack(sums, 1) / np.bincount(regions)[:, None]
    return means.astype(np.float32)  # (items, C)
