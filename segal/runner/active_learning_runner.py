"""The outer runner: rounds of train -> query -> label."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from mmcv.runner import RUNNERS, Hook
from mmcv.runner.priority import get_priority
from numpy.typing import NDArray

from segal.active.active_loop import ActiveLearningLoop, SelectorFactory
from segal.active.dataset.pool import query_batch
from segal.active.heuristics import BaseHeuristic
from segal.active.opening import Opening
from segal.active.units.costs import Asked
from segal.config.schema import ActiveLearningConfig
from segal.distributed import ranks, stopping
from segal.distributed.process import return_memory
from segal.errors import StateError
from segal.model_wrapper import ModelWrapper
from segal.runner.absent import absent_classes, unlabelled_classes
from segal.runner.round_report import RoundReport
from segal.runner.rounds import read_rounds, write_rounds, write_times
from segal.structures import Selection
from segal.visualization.table import absent_words, cost_words


class RoundFactory(Protocol):
    """Builds afresh, for each round, what a config describes."""

    def training(self, round: int, iterations: int) -> Training:
        """Model, optimizer, loader, hooks and inner runner of a phase."""

    def wrapper(self, round: int) -> ModelWrapper:
        """The model that a finished phase left.

        Raises:
            StateError: Its checkpoint is missing or hurt.
        """

    def committee(self, round: int, asked: bool) -> list[ModelWrapper]:
        """The networks that stand beside the one a round left.

        Args:
            round: Of the phase.
            asked: Whether labels are bought by what they say.

        Raises:
            StateError: ``asked``, and one of them is missing or hurt.
        """

    def reporters(self) -> list[Hook]:
        """The hooks of a phase that are told of a round that is over."""


class Training(Protocol):
    """One training phase, ready to run."""

    runner: Any
    wrapper: ModelWrapper
    source_images: int

    def run(self) -> dict[str, Any]:
        """Train, evaluate and save.

        Returns:
            ``iterations``, ``metrics``, ``seconds`` (of train and
            evaluation), and ``best`` where it was asked for.
        """


@RUNNERS.register_module()
class ActiveLearningRunner:
    """Drives rounds of train -> query -> label.

    A round is an ordinary mmcv run that the factory builds anew. State lies
    in files alone: the label store, ``rounds.json``, and the last checkpoint
    of each round; running again goes on with the first thing not yet done.

    Args:
        config: What the user wrote, read and checked.
        factory: Builds the phases.
        loop: The query step.
        heuristic: Scores.
        initial_heuristic: Scores the initial draw.
        make_selector: Builds the selector of a query.
        make_initial_selector: Builds the selector of the initial draw.
        opening: Of a query; None where all images are open.
        initial_opening: Of the initial draw.
        work_dir: The experiment's folder.
        logger: Where to say what happens.
        classes: Names of the C classes.
        palette: uint8 (C, 3), RGB.
        model: Ignored, as is ``optimizer``: each round builds its own.
        optimizer: Ignored.
        **kwargs: The other keys of ``runner`` in the config, already read.
    """

    def __init__(
        self,
        config: ActiveLearningConfig,
        factory: RoundFactory,
        loop: ActiveLearningLoop,
        heuristic: BaseHeuristic,
        initial_heuristic: BaseHeuristic,
        make_selector: SelectorFactory,
        make_initial_selector: SelectorFactory,
        work_dir: Path,
        logger: logging.Logger,
        classes: Sequence[str],
        palette: NDArray[np.uint8],
        opening: Opening | None = None,
        initial_opening: Opening | None = None,
        model: Any = None,
        optimizer: Any = None,
        **kwargs: Any,
    ) -> None:
        self.config = config
        self.factory = factory
        self.loop = loop
        self.store = loop.store
        self.heuristic = heuristic
        self.initial_heuristic = initial_heuristic
        self.make_selector = make_selector
        self.make_initial_selector = make_initial_selector
        self.opening = opening
        self.initial_opening = initial_opening
        self.work_dir = Path(work_dir)
        self.logger = logger
        self.classes = tuple(classes)
        self.palette = palette
        self.rows: list[dict[str, Any]] = self._read_rows()

    @property
    def rounds(self) -> int:
        """How many training phases there are."""
        return len(self.config.phases)

    def _step(self, round: int) -> int:
        """Iterations of all rounds before this one."""
        return sum(row['iterations'] for row in self.rows[:round])

    def run(self) -> list[dict[str, Any]]:
        """Go on from where the files stand until the last phase is done.

        Returns:
            The rows of ``rounds.json``.
        """
        self._share_labels()
        self._say_where()
        self._lay_costs()
        stopping.check_together()
        self._draw_initial()
        hooks: list[Hook] = []
        for index, phase in enumerate(self.config.phases):
            training = wrapper = None  # a round's network ends with it
            asks = phase.query and self.store.rounds == index + 1
            done = index < len(self.rows)
            if done and not asks and self._is_told(index):
                continue
            gc.collect()
            return_memory()
            stopping.check_together()
            if done:
                wrapper = self._wrapper(index)
                if wrapper is None and not asks:
                    continue  # other labels were bought since
            if wrapper is None:
                training = self.factory.training(index, self._step(index))
                self._train(index, training)
                wrapper = training.wrapper
            selection = self._query(index, wrapper) if asks else None
            if selection is None and self.store.rounds > index + 1:
                selection = self.store.selection(index + 1)
            hooks = (
                training.runner.hooks if training else self.factory.reporters()
            )
            self._report(index, hooks, training, wrapper, selection)
        _call(hooks, 'after_experiment', self)
        return self.rows

    def _is_told(self, round: int) -> bool:
        """Whether a finished round was drawn and logged."""
        last = round == len(self.rows) - 1
        return not last or 'report' in self.rows[round]['seconds']

    def _wrapper(self, round: int) -> ModelWrapper | None:
        """The model of a finished round; None where it is lost.

        Where its query is still to come, the labels are those it was trained
        on, and trained again it becomes the same again.
        """
        try:
            return self.factory.wrapper(round)
        except StateError as error:
            asks = self.store.rounds == round + 1
            self.logger.warning(
                '%s. %s',
                error,
                f'Round {round} is trained again.'
                if asks and self.config.phases[round].query
                else f'Round {round} is not drawn.',
            )
            return None

    def _read_rows(self) -> list[dict[str, Any]]:
        """The rows so far, read by rank 0 for all."""
        rows = None
        with ranks.together():
            if ranks.is_main():
                rows = read_rounds(self.work_dir)
        return ranks.broadcast(rows)

    def _share_labels(self) -> None:
        """Bring rank 0's label files to machines that lack them."""
        with ranks.together():
            if ranks.is_main():
                self.store.write_manifest()  # a killed run may lack it
        for file in range(ranks.broadcast(self.store.rounds)):
            self.store.share(file)
        self.store.reload()

    def _say_where(self) -> None:
        done, files = len(self.rows), self.store.rounds
        if done > files:
            raise StateError(
                f'{self.store.folder}: wanted the label files of {done} '
                f'rounds that rounds.json tells of, got {files}; restore '
                f'round_{files:03d}.npz and those after it from a copy'
            )
        if files > done + 1:
            self.logger.warning(
                'rounds %d to %d are trained on all %d label files, those '
                'of later rounds too: their rows do not belong on a curve',
                done,
                files - 2,
                files,
            )
        if files:
            self.logger.info(
                'going on in %s: %d of %d rounds are done, %d label files '
                'are there',
                self.work_dir,
                done,
                self.rounds,
                files,
            )

    def _draw_initial(self) -> None:
        """Buy the initial labels, before there is a network."""
        if self.store.rounds == 0:
            self.loop.step(
                self.initial_heuristic,
                self.make_initial_selector,
                None,
                self.initial_opening,
            )
            counts = self.store.counts(0)
            self.logger.info(
                'initial labels: %d requested, %d labelled, %d void; cost %s',
                counts.requested,
                counts.labelled,
                counts.void,
                self._cost_words(0),
            )
            self._say_dry(0)

    def _train(self, round: int, training: Training) -> None:
        """Train a phase and add its row."""
        sources = training.source_images
        self.logger.info(
            '----- round %d of %d: training on %d images%s -----',
            round + 1,
            self.rounds,
            len(self.store.labelled_names()),
            f' and {sources} of labelled sources' if sources else '',
        )
        result = training.run()
        bought, total = self.store.counts(round), self.store.counts()
        pixels = sum(image.pixels for image in self.loop.pool)
        metrics = result['metrics']
        row = dict(
            round=round,
            unit=self.config.unit,
            requested=bought.requested,
            labelled=bought.labelled,
            void=bought.void,
            refused=bought.refused,
            **self._regions(round),
            total=dict(
                requested=total.requested,
                labelled=total.labelled,
                void=total.void,
                refused=total.refused,
                images=total.images,
            ),
            pool=dict(images=len(self.loop.pool), pixels=pixels),
            **(dict(sources=dict(images=sources)) if sources else {}),
            share=total.labelled / pixels,
            cost=self._cost(round),
            iterations=result['iterations'],
            **{
                name: value
                for name, value in metrics.items()
                if name in ('mIoU', 'mAcc', 'aAcc')
            },
            IoU={
                name.removeprefix('IoU.'): value
                for name, value in metrics.items()
                if name.startswith('IoU.')
            },
            seconds=dict(result['seconds'], query=None),
        )
        unlabelled = unlabelled_classes(self.store, len(self.classes))
        absent = absent_classes(metrics, self.classes, unlabelled)
        if absent:
            row['absent'] = absent
        if result.get('best'):
            row['best'] = result['best']
        self.rows[round:] = [row]
        self._write(write_rounds)
        for sentence in absent_words(row):
            self.logger.warning('round %d: %s', round, sentence)

    def _cost(self, round: int) -> dict[str, Any]:
        """What the labels of a round cost, and those of all until then."""
        costs = self.config.costs
        asked = [self.store.asked(file) for file in range(round + 1)]
        return dict(
            unit=costs.unit,
            round=float(costs.of(asked[-1])),
            total=float(costs.of(sum(asked, Asked()))),
        )

    def _cost_words(self, round: int) -> str:
        cost = self._cost(round)
        words = cost_words(cost['round'], cost['unit'])
        if not round:
            return words
        return f'{words}, {cost_words(cost["total"], cost["unit"])} in all'

    def _lay_costs(self) -> None:
        """Lay the config's prices, which may be new, over the rows so far.

        Raises:
            StateError: The rows cannot be written.
        """
        before = [row.get('cost') for row in self.rows]
        for row in self.rows:
            row['cost'] = self._cost(row['round'])
        if before != [row['cost'] for row in self.rows]:
            self.logger.info(
                'costs in rounds.json: as active_learning.costs has them now'
            )
            self._write(write_rounds)

    def _regions(self, round: int) -> dict[str, Any]:
        """Images that were opened, regions, and what was said of each."""
        asked = self.store.asked(round)
        told: dict[str, Any] = {}
        if self.opening is not None:
            told['opened'] = asked.opened
        if self.config.unit == 'region' and not asked.pixels:
            told['regions'] = asked.regions + asked.superpixels
            if self.config.selector.get('answer') == 'dominant':
                told['answer'] = 'dominant'
        return told

    def _say_dry(self, round: int) -> None:
        """Say where the label file just written holds less than its budget."""
        budget = self.config.budget if round else self.config.initial
        requested = self.store.counts(round).requested
        left = self.loop.unspent
        opens = self.opening is not None and round > 0
        if not left and (requested or not opens):
            return
        counted = 'pixel' if budget.counts_pixels else self.config.unit
        if not requested:
            self.logger.warning(
                'round %d asks nothing: no place is free that its budget may '
                'be spent on; its label file is empty, and it trains on the '
                'labels that there are',
                round,
            )
            return
        self.logger.warning(
            'round %d: %s; %d %ss of the budget are not spent',
            round,
            'some images have run dry and give all that is left of them'
            if budget.per_image
            else 'the pool has run dry and gives all that is left',
            left,
            counted,
        )

    def _query(self, round: int, wrapper: ModelWrapper) -> Selection:
        """Buy the labels of the next round."""
        ranks.sync_buffers(wrapper.model)
        ranks.check_same_state(wrapper.model, f'before the query of {round}')
        begin = time.perf_counter()
        if 'committee' in self.heuristic.needs:
            wrapper.committee = self.factory.committee(round, asked=True)
        selection = self.loop.step(
            self.heuristic, self.make_selector, wrapper, self.opening
        )
        self.rows[round]['seconds']['query'] = time.perf_counter() - begin
        counts = self.store.counts(round + 1)
        self.logger.info(
            'round %d bought: %d requested, %d labelled, %d void, '
            '%d refused; cost %s',
            round + 1,
            counts.requested,
            counts.labelled,
            counts.void,
            counts.refused,
            self._cost_words(round + 1),
        )
        self._say_dry(round + 1)
        self._write(write_times)
        return selection

    def _write(
        self, write: Callable[[Path, list[dict[str, Any]]], None]
    ) -> None:
        """Let rank 0 write the rows, or their times.

        Raises:
            StateError: They cannot be written.
        """
        with ranks.together():
            if ranks.is_main():
                write(self.work_dir, self.rows)

    def _report(
        self,
        round: int,
        hooks: Sequence[Hook],
        training: Training | None,
        wrapper: ModelWrapper,
        selection: Selection | None,
    ) -> None:
        """Let the hooks draw and log, on rank 0."""
        begin = time.perf_counter()
        statistics = self.loop.scorer.statistics(self.heuristic, wrapper)
        drawn = self.config.visualize is not None and not wrapper.committee
        if 'committee' in self.heuristic.needs and drawn:
            wrapper.committee = self.factory.committee(round, asked=False)

        def predict(
            name: str,
        ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
            batch = query_batch(self.loop.pool, [name])
            needs = {*self.heuristic.needs, 'probs'}  # for the classes
            for found in self.loop.scorer.seen(
                batch, [name], wrapper, needs, round + 1
            ):
                score = self.heuristic(replace(found, pool=statistics))
                assert found.probs is not None
                classes = wrapper.classes(found.probs[None])[0]
            return classes.cpu().numpy().astype(np.uint8), score.cpu().numpy()

        if ranks.is_main():
            report = RoundReport(
                row=self.rows[round],
                rows=self.rows,
                work_dir=self.work_dir,
                step=self._step(round + 1),
                selection=selection,
                store=self.store,
                pool=self.loop.pool,
                unit=self.config.unit,
                read_image=self.loop.pool.read_image,
                predict=predict,
                classes=self.classes,
                palette=self.palette,
            )
            runner = training.runner if training else None
            _call(hooks, 'after_round', runner, report)
        self.rows[round]['seconds']['report'] = time.perf_counter() - begin
        self._write(write_times)


def _call(hooks: Sequence[Hook], method: str, *arguments: Any) -> None:
    """Call a method on those hooks that have it, by priority."""
    for hook in sorted(hooks, key=lambda hook: get_priority(hook.priority)):
        if hasattr(hook, method):
            getattr(hook, method)(*arguments)
