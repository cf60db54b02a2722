"""Drive an experiment: rounds of train, query and label."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from mmcv.runner import RUNNERS, Hook
from mmcv.runner.priority import get_priority
from numpy.typing import NDArray

from segal import terminal
from segal.active.dataset.pool import query_batch
from segal.active.units.costs import Asked
from segal.distributed import ranks, stopping
from segal.distributed.process import return_memory
from segal.errors import AnswersWanted, StateError
from segal.model_wrapper import ModelWrapper
from segal.rounds import absent_classes, read_rounds, write_rounds, write_times
from segal.runner.experiment import Experiment, Training
from segal.runner.round_report import RoundReport
from segal.structures import Selection
from segal.visualization.table import absent_words, cost_words


@RUNNERS.register_module()
class ActiveLearningRunner:
    """Drive rounds of train -> query -> label.

    Each round is an ordinary mmcv run that the factory builds anew. All state
    is in files: the label store, ``rounds.json``, and the last checkpoint of
    each round. A run that starts again continues with the first step that is
    not done.

    Args:
        experiment: The parts that the runner joins.
        model: Ignored, as is ``optimizer``: each round builds its own.
        optimizer: Ignored.
        **kwargs: The other keys of ``runner`` in the config, already read.
    """

    def __init__(
        self,
        experiment: Experiment,
        model: Any = None,
        optimizer: Any = None,
        **kwargs: Any,
    ) -> None:
        self.config = experiment.config
        self.factory = experiment.factory
        self.loop = experiment.loop
        self.store = experiment.loop.store
        self.initial = experiment.initial
        self.query = experiment.query
        self.work_dir = experiment.work_dir
        self.logger = experiment.logger
        self.classes = tuple(experiment.classes)
        self.palette = experiment.palette
        self.rows: list[dict[str, Any]] = self._read_rows()

    @property
    def rounds(self) -> int:
        """Count the training phases."""
        return len(self.config.phases)

    def _before(self, round: int) -> list[int]:
        """Count the iterations of each round before this one."""
        return [row['iterations'] for row in self.rows[:round]]

    def run(self) -> list[dict[str, Any]]:
        """Continue from the state of the files until the last phase is done.

        Returns:
            The rows of ``rounds.json``.
        """
        self._share_labels()
        self._log_progress()
        self._recompute_costs()
        stopping.check_together()
        self._draw_initial()
        hooks: list[Hook] = []
        for index, phase in enumerate(self.config.phases):
            training = wrapper = None  # frees the network of the last round
            asks = phase.query and self.store.rounds == index + 1
            done = index < len(self.rows)
            if done and asks and self.loop.commit_frozen() is not None:
                self._log_bought(index + 1)
                asks = False
            if done and not asks and self._is_reported(index):
                self.factory.tidy(index)
                continue
            gc.collect()
            return_memory()
            stopping.check_together()
            if done:
                wrapper = self._wrapper(index)
                if wrapper is None and not asks:
                    continue  # its labels are no longer the newest
            if wrapper is None:
                training = self.factory.training(index, self._before(index))
                self._train(index, training)
                wrapper = training.wrapper
            terminal.show(self.rows, index, self.rounds)
            selection = self._query(index, wrapper) if asks else None
            if selection is None and self.store.rounds > index + 1:
                selection = self.store.selection(index + 1)
            hooks = (
                training.runner.hooks if training else self.factory.reporters()
            )
            self._report(index, hooks, training, wrapper, selection)
            self.factory.tidy(index)
        _call(hooks, 'after_experiment', self)
        return self.rows

    def _is_reported(self, round: int) -> bool:
        """Check whether a finished round was drawn and logged."""
        last = round == len(self.rows) - 1
        return not last or 'report' in self.rows[round]['seconds']

    def _wrapper(self, round: int) -> ModelWrapper | None:
        """Load the model of a finished round; None where it is lost.

        A round whose query is still to come is trained again: its labels are
        the same, so its network becomes the same.
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
        """Read the finished rows on rank 0, for all ranks."""
        rows = None
        with ranks.together():
            if ranks.is_main():
                rows = read_rounds(self.work_dir)
        return ranks.broadcast(rows)

    def _share_labels(self) -> None:
        """Copy rank 0's label files to machines without them."""
        with ranks.together():
            if ranks.is_main():
                self.store.write_manifest()  # a killed run may lack it
        for file in range(ranks.broadcast(self.store.rounds)):
            self.store.share(file)
        self.store.reload()

    def _log_progress(self) -> None:
        """Log how much is done, and refuse files that contradict."""
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
                self.initial.heuristic,
                self.initial.make_selector,
                None,
                self.initial.opening,
            )
            counts = self.store.counts(0)
            self.logger.info(
                'initial labels: %d requested, %d labelled, %d void; cost %s',
                counts.requested,
                counts.labelled,
                counts.void,
                self._cost_words(0),
            )
            self._warn_unspent(0)

    def _train(self, round: int, training: Training) -> None:
        """Train a phase, and add its row to ``rounds.json``."""
        sources = training.source_images
        self.logger.info(
            '----- round %d of 0 to %d: training on %d images%s -----',
            round,
            self.rounds - 1,
            len(self.store.labelled_names()),
            f' and {sources} of labelled sources' if sources else '',
        )
        begun = self._bought(round, sources)
        terminal.show([*self.rows[:round], begun], round, self.rounds)
        result = training.run()
        metrics = result['metrics']
        row = dict(
            **begun,
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
        answering = self.loop.oracle.seconds(round)
        if answering is not None:
            row['seconds']['annotation'] = answering
        unlabelled = self.store.unlabelled(len(self.classes))
        absent = absent_classes(metrics, self.classes, unlabelled)
        if absent:
            row['absent'] = absent
        if result.get('best'):
            row['best'] = result['best']
        self.rows[round:] = [row]
        self._write(write_rounds)
        for sentence in absent_words(row):
            self.logger.warning('round %d: %s', round, sentence)

    def _bought(self, round: int, sources: int) -> dict[str, Any]:
        """Describe the labels up to a round, as its row begins."""
        bought, total = self.store.counts(round), self.store.counts()
        pixels = sum(image.pixels for image in self.loop.pool)
        return dict(
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
        )

    def _cost(self, round: int) -> dict[str, Any]:
        """Compute the cost of a round's labels, and of all labels so far."""
        costs = self.config.costs
        asked = [self.store.asked(file) for file in range(round + 1)]
        return dict(
            unit=costs.unit,
            round=float(costs.of(asked[-1])),
            total=float(costs.of(sum(asked, Asked()))),
        )

    def _cost_words(self, round: int) -> str:
        """Write the cost of a round, and of all labels so far, in words."""
        cost = self._cost(round)
        words = cost_words(cost['round'], cost['unit'])
        if not round:
            return words
        return f'{words}, {cost_words(cost["total"], cost["unit"])} in all'

    def _recompute_costs(self) -> None:
        """Recompute the costs of all rows with the prices of the config."""
        before = [row.get('cost') for row in self.rows]
        for row in self.rows:
            row['cost'] = self._cost(row['round'])
        if before != [row['cost'] for row in self.rows]:
            self.logger.info(
                'costs in rounds.json: as active_learning.costs has them now'
            )
            self._write(write_rounds)

    def _regions(self, round: int) -> dict[str, Any]:
        """Count opened images and regions, and name the kind of answer."""
        asked = self.store.asked(round)
        told: dict[str, Any] = {}
        if self.query.opening is not None:
            told['opened'] = asked.opened
        return {**told, **self.config.asks.told(asked)}

    def _warn_unspent(self, round: int) -> None:
        """Warn where the new label file holds less than its budget."""
        budget = self.config.budget if round else self.config.initial
        requested = self.store.counts(round).requested
        left = self.loop.unspent
        opens = self.query.opening is not None and round > 0
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
        """Buy the labels of the next round with the trained network."""
        ranks.sync_buffers(wrapper.model)
        ranks.check_same_state(wrapper.model, f'before the query of {round}')
        begin = time.perf_counter()
        if 'committee' in self.query.heuristic.needs:
            wrapper.committee = self.factory.committee(round, asked=True)
        try:
            with terminal.progress(None, 'query', disable=True):
                selection = self.loop.step(
                    self.query.heuristic,
                    self.query.make_selector,
                    wrapper,
                    self.query.opening,
                )
        except AnswersWanted:
            self.rows[round]['seconds']['query'] = time.perf_counter() - begin
            self._write(write_times)
            raise
        self.rows[round]['seconds']['query'] = time.perf_counter() - begin
        self._log_bought(round + 1)
        self._warn_unspent(round + 1)
        self._write(write_times)
        return selection

    def _log_bought(self, round: int) -> None:
        """Log what a query bought, and what it cost."""
        counts = self.store.counts(round)
        self.logger.info(
            'round %d bought: %d requested, %d labelled, %d void, '
            '%d refused; cost %s',
            round,
            counts.requested,
            counts.labelled,
            counts.void,
            counts.refused,
            self._cost_words(round),
        )

    def _write(
        self, write: Callable[[Path, list[dict[str, Any]]], None]
    ) -> None:
        """Write the rows, or their times, on rank 0."""
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
        """Call the hooks that draw and log the round, on rank 0."""
        begin = time.perf_counter()
        statistics = self.loop.scorer.statistics(self.query.heuristic, wrapper)
        drawn = (
            self.config.keys.visualize is not None and not wrapper.committee
        )
        if 'committee' in self.query.heuristic.needs and drawn:
            wrapper.committee = self.factory.committee(round, asked=False)

        def predict(
            name: str,
        ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
            batch = query_batch(self.loop.pool, [name])
            needs = {*self.query.heuristic.needs, 'probs'}  # for the classes
            with wrapper.evaluating():
                for found in self.loop.scorer.seen(
                    batch, [name], wrapper, needs, round + 1
                ):
                    score = self.query.heuristic(
                        replace(found, pool=statistics)
                    )
                    assert found.probs is not None
                    classes = wrapper.classes(found.probs[None])[0]
            return classes.cpu().numpy().astype(np.uint8), score.cpu().numpy()

        if ranks.is_main():
            report = RoundReport(
                row=self.rows[round],
                rows=self.rows,
                work_dir=self.work_dir,
                step=sum(self._before(round + 1)),
                selection=selection,
                store=self.store,
                pool=self.loop.pool,
                unit=self.config.unit,
                read_image=self.loop.pool.read_image,
                predict=predict,
                truth=self.loop.oracle.known_truth,
                classes=self.classes,
                palette=self.palette,
            )
            runner = training.runner if training else None
            with terminal.progress(None, 'pictures', disable=True):
                _call(hooks, 'after_round', runner, report)
        self.rows[round]['seconds']['report'] = time.perf_counter() - begin
        self._write(write_times)


def _call(hooks: Sequence[Hook], method: str, *arguments: Any) -> None:
    """Call a method of the hooks that have it, by priority."""
    for hook in sorted(hooks, key=lambda hook: get_priority(hook.priority)):
        if hasattr(hook, method):
            getattr(hook, method)(*arguments)
