"""One query step: predictions, scores, selection, answers, label store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from segal import distributed as ranks
from segal import stopping
from segal.active.dataset.pool import Pool, query_loader
from segal.active.heuristics import BaseHeuristic
from segal.active.label_store import LabelStore
from segal.active.ledger import (
    Standing,
    check_answers,
    check_bought,
    check_same_labels,
    check_selection,
)
from segal.active.oracles import BaseOracle
from segal.active.selectors import BaseSelector
from segal.model_wrapper import ModelWrapper
from segal.structures import PoolImage, Prediction, Selection

SelectorFactory = Callable[
    [Sequence[PoolImage], NDArray[np.int64], int], BaseSelector
]


class ActiveLearningLoop:
    """Asks, once a round, for the labels that the network would learn from.

    Args:
        pool: Every image that may be asked about.
        store: What was asked so far.
        oracle: Who answers.
        seed: The experiment's seed.
        batch_size: Images a forward pass. With 1, and the same threads a
            process, the selection does not depend on the number of processes.
        workers: Loader processes a rank.
    """

    def __init__(
        self,
        pool: Pool,
        store: LabelStore,
        oracle: BaseOracle,
        seed: int,
        batch_size: int = 1,
        workers: int = 2,
    ) -> None:
        self.pool = pool
        self.store = store
        self.oracle = oracle
        self.seed = seed
        self.batch_size = batch_size
        self.workers = workers
        self._statistics: WeakKeyDictionary[Any, dict[str, Tensor]]
        self._statistics = WeakKeyDictionary()  # a network ends with its round

    def step(
        self,
        heuristic: BaseHeuristic,
        make_selector: SelectorFactory,
        wrapper: ModelWrapper | None,
    ) -> Selection:
        """Score the pool, spend the budget, ask, and store the answers.

        Every rank scores its own images and keeps the best; rank 0 chooses,
        asks and writes; then every rank reads the same file. The ledger is
        checked before and after it is written.

        Args:
            heuristic: Gives the scores.
            make_selector: Builds the round's selector from the pool's
                images, the free places of each, and the number of the label
                file.
            wrapper: The network, None where the heuristic needs none.

        Returns:
            What was asked, with its scores.

        Raises:
            RuntimeError: The ledger of the round does not add up.
        """
        file = self.store.rounds
        before = Standing.of(self.store)
        free = self.free()
        selector = make_selector(self.pool.images, free, file)
        needed = set(heuristic.needs)
        statistics = self.statistics(heuristic, wrapper)
        left = [
            image
            for image, places in zip(self.pool, free, strict=True)
            if places > 0
        ]
        with ranks.together():
            for prediction in self._predictions(
                left,
                wrapper if needed & {'probs', 'samples'} else None,
                f'query {file}',
                'samples' in needed,
                file,
            ):
                image = self.pool[self.pool.position[prediction.name]]
                score = heuristic(replace(prediction, pool=statistics))
                selector.shortlist(
                    image, score.cpu().numpy(), self.available(image)
                )
            shard = selector.candidates()
        shards = ranks.gather(shard)
        with ranks.together():
            if ranks.is_main():
                selection = selector.choose(shards)
                check_selection(selection, selector.budget, free, self.store)
                answers = self.oracle.answer(selection)
                gain = check_answers(selection, answers, self.store)
                self.store.append(answers)
        self.store.share(file)
        with ranks.together():
            if ranks.is_main():
                check_bought(before, gain, self.store)
            else:
                self.store.reload()
            selection = self.store.selection(file)
        prints = ranks.gather_everywhere(self.store.fingerprint())
        check_same_labels(prints, file)
        return selection

    def free(self) -> NDArray[np.int64]:
        """How many places may still be asked in each image: int64 (P,)."""
        free = None
        with ranks.together():
            if ranks.is_main():
                free = self.oracle.free(self.pool.images, self.store)
        return ranks.broadcast(free)

    def available(self, image: PoolImage) -> NDArray[np.bool_]:
        """Which places may be asked: bool (H, W)."""
        available = self.store.available(image.name)
        askable = self.oracle.askable(image)
        return available if askable is None else available & askable

    def statistics(
        self, heuristic: BaseHeuristic, wrapper: ModelWrapper | None
    ) -> dict[str, Tensor] | None:
        """What a heuristic wants to know of the whole pool.

        Args:
            heuristic: With its ``needs``.
            wrapper: The network; its statistics are made once.

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
            for prediction in self._predictions(
                self.pool.images, wrapper, 'classes of the pool'
            ):
                assert prediction.probs is not None
                counts = torch.bincount(
                    prediction.probs.argmax(dim=0).flatten(),
                    minlength=len(prediction.probs),
                ).cpu()  # (C,)
                total = counts if total is None else total + counts
        parts = ranks.gather_everywhere(total)
        counts = torch.stack([x for x in parts if x is not None]).sum(dim=0)
        self._statistics[wrapper] = dict(class_counts=counts)
        return self._statistics[wrapper]

    def _predictions(
        self,
        images: Sequence[PoolImage],
        wrapper: ModelWrapper | None,
        what: str,
        sampled: bool = False,
        file: int = 0,
    ) -> Iterator[Prediction]:
        """What the network says of this rank's share of some images.

        Args:
            images: The same on every rank.
            wrapper: None where no network is needed.
            what: For the progress bar.
            sampled: Whether stochastic predictions are wanted, too.
            file: Number of the label file, for what is drawn.
        """
        mine = images[ranks.rank() :: ranks.world_size()]
        bar = tqdm(
            total=len(mine),
            desc=what,
            unit='image',
            disable=not ranks.is_main(),
            mininterval=1,
            leave=False,
        )

        def prediction(image: PoolImage, probs: Tensor | None) -> Prediction:
            stopping.check()
            bar.update()
            return Prediction(image.name, image.size, self.seed, file, probs)

        with bar:
            if wrapper is None:
                for image in mine:
                    yield prediction(image, None)
                return
            loader, batches = query_loader(
                self.pool,
                [image.name for image in mine],
                self.batch_size,
                self.workers,
            )
            with wrapper.evaluating():
                for batch, names in zip(loader, batches, strict=True):
                    together = wrapper.probabilities(batch)
                    for i, name in enumerate(names):
                        image = self.pool[self.pool.position[name]]
                        found = prediction(image, together[i])
                        if not sampled:
                            yield found
                            continue
                        draws = wrapper.samples(batch, i, *found.key('mc'))
                        with closing(draws):
                            yield replace(found, samples=draws)
