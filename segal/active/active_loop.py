"""One query step: predictions, scores, selection, answers, label store."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from segal import distributed as ranks
from segal.active.dataset.pool import Pool
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
from segal.active.region_ledger import check_regions
from segal.active.scoring import Scorer
from segal.active.selectors import BaseRegions, BaseSelector
from segal.features.of_pool import PoolFeatures
from segal.model_wrapper import ModelWrapper
from segal.structures import PoolImage, Selection

SelectorFactory = Callable[..., BaseSelector]
"""The ``images``, the ``free`` places of each, which images are ``opened``,
what of an image was ``asked`` and is ``available``, and the number of the
``round``'s label file, by these names -> the selector of the round."""


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
        features: Gives embeddings and maps of features; None: there are none.
    """

    def __init__(
        self,
        pool: Pool,
        store: LabelStore,
        oracle: BaseOracle,
        seed: int,
        batch_size: int = 1,
        workers: int = 2,
        features: PoolFeatures | None = None,
    ) -> None:
        self.pool = pool
        self.store = store
        self.oracle = oracle
        self.seed = seed
        self.scorer = Scorer(pool, seed, batch_size, workers, features)

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
            make_selector: Builds the round's selector.
            wrapper: The network, None where the heuristic needs none.

        Returns:
            What was asked, with its scores.

        Raises:
            RuntimeError: The ledger of the round does not add up.
        """
        file = self.store.rounds
        before = Standing.of(self.store)
        free = self.free()
        selector = make_selector(
            images=self.pool.images,
            free=free,
            opened=self.store.opened(),
            asked=self.asked,
            available=self.available,
            round=file,
        )
        statistics = self.scorer.statistics(heuristic, wrapper)
        needs = {*heuristic.needs, *selector.needs}
        read = [
            image
            for image, places in zip(self.pool, free, strict=True)
            if places > 0 or selector.reads_all
        ]
        with ranks.together():
            for image, score, prediction in self.scorer.scores(
                read,
                heuristic,
                wrapper if self.scorer.reads_network(needs) else None,
                statistics,
                file,
                needs=selector.needs,
            ):
                selector.shortlist(
                    image, score, self.available(image), prediction
                )
            shard = selector.candidates()
        shards = ranks.gather(shard)
        with ranks.together():
            if ranks.is_main():
                selection = selector.choose(shards)
                check_selection(selection, selector.budget, free, self.store)
                if isinstance(selector, BaseRegions):
                    check_regions(selection, selector)
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

    def asked(self, image: PoolImage) -> NDArray[np.bool_]:
        """Which places were asked before: bool (H, W), a new array."""
        return ~self.store.available(image.name)

    def available(self, image: PoolImage) -> NDArray[np.bool_]:
        """Which places may be asked: bool (H, W)."""
        available = self.store.available(image.name)
        askable = self.oracle.askable(image)
        return available if askable is None else available & askable
