"""Run a query step: predictions, scores, selection, answers, labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segal.active.dataset.pool import Pool
from segal.active.heuristics import BaseHeuristic
from segal.active.label_store.audit import (
    Snapshot,
    check_answers,
    check_bought,
    check_part,
    check_same_labels,
    check_selection,
)
from segal.active.label_store.audit_regions import check_regions
from segal.active.label_store.store import LabelStore
from segal.active.opening import Opening, check_opened
from segal.active.oracles import BaseOracle
from segal.active.scoring import Scorer
from segal.active.selectors import (
    BaseRegions,
    BaseSelector,
    Mask,
    QueryContext,
    SelectorFactory,
)
from segal.distributed import ranks
from segal.model_wrapper import ModelWrapper
from segal.structures import (
    Budget,
    Candidates,
    PoolImage,
    Selection,
    merged,
)


class ActiveLearningLoop:
    """Runs the query step of each round.

    Args:
        pool: Every image that may be asked about.
        store: What was asked so far.
        oracle: Who answers.
        seed: The experiment's seed.
        **options: As for :class:`Scorer`. With ``batch_size=1``, and the same
            threads a process, the selection does not depend on the number of
            processes.

    Attributes:
        unspent: How much of its budget the last step could not spend, since
            nothing more could be asked.
    """

    def __init__(
        self,
        pool: Pool,
        store: LabelStore,
        oracle: BaseOracle,
        seed: int,
        **options: Any,
    ) -> None:
        self.pool = pool
        self.store = store
        self.oracle = oracle
        self.seed = seed
        self.unspent = 0
        self.scorer = Scorer(pool, seed, **options)

    def step(
        self,
        heuristic: BaseHeuristic,
        make_selector: SelectorFactory,
        wrapper: ModelWrapper | None,
        opening: Opening | None = None,
    ) -> Selection:
        """Score the pool, spend the budget, ask, and store the answers.

        Every rank scores its own images and keeps the best. Rank 0 chooses,
        freezes the request and asks. Where nothing is left to ask, the label
        file is empty.

        Args:
            heuristic: Gives the scores.
            make_selector: Builds the round's selector.
            wrapper: The network, None where the heuristic needs none.
            opening: Which images to open first, and how to split the budget
                over them and those that are open; None: all are open.

        Returns:
            What was answered, with its scores.

        Raises:
            AnswersWanted: The request is frozen, and people are asked.
            RuntimeError: The audit of the round failed.
        """
        frozen = self.commit_frozen()
        if frozen is not None:  # never a second request of a round
            return frozen
        free = self.free()
        parts: Iterable[tuple[NDArray[np.bool_], Budget | None]]
        parts = [(np.ones(len(free), bool), None)]
        if opening is not None:
            new = self._open(heuristic, wrapper, opening, free)
            old = self.store.opened() & (free > 0)
            parts = opening.parts(old, new, free)
        chosen, self.unspent = self._spend(
            heuristic, make_selector, wrapper, free, list(parts)
        )
        with ranks.together():
            selection = merged(chosen, self.pool.images)
        probs = self._predict(selection, wrapper)
        with ranks.together():
            if ranks.is_main():
                self.oracle.freeze(selection, self.store, probs)
        return self._commit(selection)

    def _spend(
        self,
        heuristic: BaseHeuristic,
        make_selector: SelectorFactory,
        wrapper: ModelWrapper | None,
        free: NDArray[np.int64],
        parts: Sequence[tuple[NDArray[np.bool_], Budget | None]],
    ) -> tuple[list[Selection], int]:
        """Spend the budget of each part; what one leaves goes to the next.

        What the last one leaves goes back to the first, where that had spent
        all of its own: opened images have fewer regions than pixels.

        Returns:
            What to ask of each part, and how much nobody could spend.
        """
        chosen: list[Selection] = []
        rests: list[int] = []
        for images, share in parts:
            carried = 0
            if share is not None and not share.per_image:
                carried = sum(rests)
                share = replace(share, amount=share.amount + carried)
            part, rest = self._choose(
                heuristic, make_selector, wrapper, free, images, share
            )
            chosen.append(part)
            rests.append(rest - carried)
        left = sum(rests)
        images, share = parts[0]
        if left and not rests[0] and share is not None and len(parts) > 1:
            share = replace(share, amount=share.amount + left)
            chosen[0], left = self._choose(
                heuristic, make_selector, wrapper, free, images, share
            )
        return chosen, left

    def _predict(
        self, selection: Selection, wrapper: ModelWrapper | None
    ) -> NDArray[np.float32] | None:
        """Predict what is asked, where the oracle wants to know it.

        Returns:
            On rank 0 float32 (items, C); None where no network asks, or an
            answer is more than one class.
        """
        if wrapper is None or not self.oracle.wants_predictions:
            return None
        selection = ranks.broadcast(selection)
        if not selection.one_class or not len(selection):
            return None
        return self.scorer.of_items(selection, wrapper)

    def commit_frozen(self) -> Selection | None:
        """Store the answers to a request that was frozen in an earlier run.

        Returns:
            What was asked; None where the next round was not asked yet.

        Raises:
            AnswersWanted: Answers are still missing.
            StateError: The request or its answers are damaged.
            RuntimeError: The audit of the round failed.
        """
        selection = None
        with ranks.together():
            if ranks.is_main():
                selection = self.oracle.frozen(self.store)
        if not ranks.broadcast(selection is not None):
            return None
        self.unspent = 0
        return self._commit(selection)

    def _commit(self, selection: Selection | None) -> Selection:
        """Collect the answers to a request, and store them.

        Rank 0 collects and writes. Then every rank reads the same file. The
        labels are audited before and after they are written.

        Args:
            selection: The frozen request; only that of rank 0 counts.

        Returns:
            What was answered, the same on every rank.
        """
        file = self.store.rounds
        before = Snapshot.of(self.store)
        with ranks.together():
            if ranks.is_main():
                assert selection is not None
                answers = self.oracle.collect(selection, self.store)
                check_part(answers.selection, selection)
                growth = check_answers(answers.selection, answers, self.store)
                self.store.append(answers)
        self.store.share(file)
        with ranks.together():
            if ranks.is_main():
                check_bought(before, growth, self.store)
                self.oracle.committed(self.store)
            else:
                self.store.reload()
            selection = self.store.selection(file)
        prints = ranks.gather_everywhere(self.store.fingerprint())
        check_same_labels(prints, file)
        return selection

    def _choose(
        self,
        heuristic: BaseHeuristic,
        make_selector: SelectorFactory,
        wrapper: ModelWrapper | None,
        free: NDArray[np.int64],
        which: NDArray[np.bool_],
        budget: Budget | None,
    ) -> tuple[Selection, int]:
        """Spend a budget on some images.

        Args:
            heuristic: Gives the scores.
            make_selector: Builds the selector.
            wrapper: The network.
            free: int64 (P,), places that may be asked.
            which: bool (P,), the images that the budget is for.
            budget: For these images; None: that of ``make_selector``.

        Returns:
            On rank 0 what to ask, checked, elsewhere nothing at all; and how
            much of the budget is left, on every rank.
        """
        images = [
            x for x, is_in in zip(self.pool, which, strict=True) if is_in
        ]
        opened = self.store.opened()[which]
        context = self._context(images, free[which], opened, heuristic)
        selector = make_selector(replace(context, budget=budget))
        shards = self._shortlisted(
            selector, heuristic, wrapper, self.available
        )
        selection = Selection(self.store.rounds, 'pixel', {})
        with ranks.together():
            if ranks.is_main():
                selection = selector.choose(shards)
                regions = isinstance(selector, BaseRegions)
                check_selection(
                    selection,
                    selector.budget,
                    np.where(which, free, 0),
                    self.store,
                    len(images),
                    regions,
                )
                if isinstance(selector, BaseRegions):
                    check_regions(selection, selector)
        left = max(0, selector.total() - selector.spent(selection))
        return selection, ranks.broadcast(left)

    def _open(
        self,
        heuristic: BaseHeuristic,
        wrapper: ModelWrapper | None,
        opening: Opening,
        free: NDArray[np.int64],
    ) -> NDArray[np.bool_]:
        """Choose the images to open: bool (P,), the same on every rank."""
        opened = self.store.opened()
        closed = ~opened & (free > 0)
        unopened = np.where(closed, free, 0)
        selector = opening.make_selector(
            self._context(self.pool.images, unopened, opened, heuristic)
        )
        place = self.pool.position

        def unseen(image: PoolImage) -> NDArray[np.bool_]:
            if closed[place[image.name]]:
                return self.available(image)
            return np.zeros(image.size, bool)

        shards = self._shortlisted(selector, heuristic, wrapper, unseen)
        new = np.zeros(len(opened), bool)
        with ranks.together():
            if ranks.is_main():
                for name in selector.choose(shards).places:
                    new[place[name]] = True
                check_opened(new, closed, opening, selector)
        return ranks.broadcast(new)

    def _context(
        self,
        images: Sequence[PoolImage],
        free: NDArray[np.int64],
        opened: NDArray[np.bool_],
        heuristic: BaseHeuristic,
    ) -> QueryContext:
        """Describe this round to a selector of some images."""
        return QueryContext(
            images=images,
            free=free,
            round=self.store.rounds,
            seed=self.seed,
            opened=opened,
            asked=self.asked,
            available=self.available,
            draws=heuristic.is_draw,
        )

    def _shortlisted(
        self,
        selector: BaseSelector,
        heuristic: BaseHeuristic,
        wrapper: ModelWrapper | None,
        available: Mask,
    ) -> list[Candidates]:
        """Score this rank's share of the images, and shortlist them.

        Returns:
            On rank 0 the candidates of all ranks.
        """
        statistics = self.scorer.statistics(heuristic, wrapper)
        needs = {*heuristic.needs, *selector.needs}
        read = [
            image
            for image, places in zip(
                selector.images, selector.free, strict=True
            )
            if places > 0 or selector.reads_all
        ]
        with ranks.together():
            for image, score, prediction in self.scorer.scores(
                read,
                heuristic,
                wrapper if self.scorer.reads_network(needs) else None,
                statistics,
                self.store.rounds,
                needs=selector.needs,
            ):
                selector.shortlist(image, score, available(image), prediction)
            shard = selector.candidates()
        return ranks.gather(shard)

    def free(self) -> NDArray[np.int64]:
        """Count the places of each image that may be asked: int64 (P,)."""
        free = None
        with ranks.together():
            if ranks.is_main():
                free = self.oracle.free(self.pool.images, self.store)
        return ranks.broadcast(free)

    def asked(self, image: PoolImage) -> NDArray[np.bool_]:
        """Mark the places asked before: bool (H, W), a new array."""
        return ~self.store.available(image.name)

    def available(self, image: PoolImage) -> NDArray[np.bool_]:
        """Mark the places that may be asked: bool (H, W)."""
        available = self.store.available(image.name)
        askable = self.oracle.askable(image)
        return available if askable is None else available & askable
