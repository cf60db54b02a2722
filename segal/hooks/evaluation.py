"""Evaluate during a phase and at its end, on all ranks together."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from weakref import WeakSet

import torch
from mmcv.runner import HOOKS, EpochBasedRunner
from mmcv.runner import EvalHook as MMCVEvalHook
from mmseg.datasets import CustomDataset
from torch.utils.data import DataLoader

from segal import terminal
from segal.active.dataset.base import LoadFirst, reading, reading_truth
from segal.distributed import ranks, stopping
from segal.model_wrapper import ModelWrapper

IGNORED = (
    'pre_eval',  # always used
    'efficient_test',
    'gpu_collect',  # counts are always summed
    'tmpdir',
    'broadcast_bn_buffer',  # all ranks take rank 0's
)
"""Keys of mmcv and mmseg that change nothing."""

_CHECKED: WeakSet[CustomDataset] = WeakSet()
"""Data sets whose ground truth this process has checked."""


@HOOKS.register_module()
class EvaluationHook(MMCVEvalHook):
    """Evaluate on the validation set; always after the last iteration.

    Every rank predicts each ``world_size``-th image and counts pixels with
    mmseg's ``pre_eval``. mmseg's ``evaluate`` computes the metrics from the
    sum of all counts. No result is written to a file.

    Args:
        dataloader: This rank's images of the validation set, one a batch, in
            the order of ``indices``.
        indices: Positions of these images in the validation set.
        **kwargs: As for mmcv's EvalHook: interval, by_epoch, start,
            save_best, metric, ... ``IGNORED`` keys change nothing.

    Attributes:
        latest: Metrics of the last evaluation, on every rank.
        seconds: Total time of all evaluations.
    """

    greater_keys = ('mIoU', 'mAcc', 'aAcc')

    def __init__(
        self, dataloader: DataLoader, indices: list[int], **kwargs: Any
    ) -> None:
        for name in IGNORED:
            kwargs.pop(name, None)
        kwargs.setdefault('greater_keys', list(self.greater_keys))
        super().__init__(dataloader, **kwargs)
        self.indices = indices
        self.latest: dict[str, float] = {}
        self.seconds = 0.0
        self.initial_flag = False  # never before the first iteration

    def before_run(self, runner: Any) -> None:
        """Take up the best score of a snapshot."""
        super().before_run(runner)
        self._take_up(runner)

    def _take_up(self, runner: Any) -> None:
        """Take up the best score of a snapshot, if it is of this metric.

        Its checkpoint is looked for in this run's own folder: the path in a
        snapshot is that of the folder from which a work_dir was copied. What
        ``save_best='auto'`` is, the first evaluation tells.
        """
        messages = (runner.meta or {}).get('hook_msgs', {})
        metric = self.key_indicator if self.save_best else None
        if 'best_ckpt' not in messages or metric == 'auto':
            return
        name = Path(messages['best_ckpt']).name
        if name.startswith(f'best_{metric}_'):
            self.best_ckpt_path = self.file_client.join_path(
                self.out_dir, name
            )
            messages['best_ckpt'] = self.best_ckpt_path
        else:
            self.best_ckpt_path = None
            del messages['best_ckpt'], messages['best_score']

    def _should_evaluate(self, runner: Any) -> bool:
        last = (
            runner.epoch + 1 >= runner._max_epochs
            if isinstance(runner, EpochBasedRunner)
            else runner.iter + 1 >= runner._max_iters
        )
        return last or super()._should_evaluate(runner)

    def _do_evaluate(self, runner: Any) -> None:
        begin = time.perf_counter()
        ranks.sync_buffers(runner.model)
        results = self._results(runner.model.module)
        runner.log_buffer.clear()
        if ranks.is_main():
            runner.log_buffer.output['eval_iter_num'] = len(
                self.dataloader.dataset
            )
            key_score = self.evaluate(runner, results)
            self._take_up(runner)
            if self.save_best and key_score is not None:
                self._save_ckpt(runner, float(key_score))
            self.latest = {
                name: float(value)
                for name, value in runner.log_buffer.output.items()
                if name != 'eval_iter_num'
            }
        self.latest = ranks.broadcast(self.latest)
        runner.meta['metrics'] = self.latest
        runner.model.train()
        self.seconds += time.perf_counter() - begin

    def _results(self, model: torch.nn.Module) -> list[Any]:
        """Sum mmseg's pre_eval counts on each rank, and gather the sums."""
        total: tuple[torch.Tensor, ...] | None = None
        with ranks.together():
            for counts in self._counts(model):
                stopping.check()
                if total is not None:
                    counts = tuple(map(torch.add, total, counts))
                total = counts
        return [counts for counts in ranks.gather(total) if counts is not None]

    def _counts(
        self, model: torch.nn.Module
    ) -> Iterator[tuple[torch.Tensor, ...]]:
        """Yield mmseg's pre_eval counts of each of this rank's images."""
        device = next(model.parameters()).device
        dataset = self.dataloader.dataset
        known = dataset in _CHECKED or not isinstance(dataset, CustomDataset)
        batches = iter(self.dataloader)
        bar = terminal.progress(len(self.indices), 'evaluate', disable=True)
        with bar, ModelWrapper(model, device).evaluating() as wrapper:
            for index in self.indices:
                with reading(dataset, index, 'data.val'):
                    batch = next(batches)
                classes = wrapper.class_map(batch)[0]  # (H, W)
                if not known:
                    LoadFirst(dataset, 'data.val').checked_annotation(
                        index, classes.shape, len(dataset.CLASSES)
                    )
                with reading_truth(dataset, index, 'data.val'):
                    counts = dataset.pre_eval(classes, index)
                bar.update()
                yield counts[0]
        if not known:
            _CHECKED.add(dataset)
