"""Build one training phase afresh, from copies of its config."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import mmcv
import mmseg
import torch
from mmcv import Config
from mmcv.parallel import collate
from mmcv.runner import Hook
from mmseg.core import build_optimizer
from torch import nn
from torch.utils.data import DataLoader

from segal import __version__
from segal.active.dataset.active_dataset import ActiveDataset, as_they_are
from segal.active.dataset.image_cache import ImageCache
from segal.active.dataset.sampler import BatchSampler, batch_sampler
from segal.active.label_store.store import LabelStore
from segal.config.schema import ActiveLearningConfig
from segal.config.spans import span_of
from segal.datasets.pipelines.drawn_changes import defer
from segal.datasets.pipelines.on_device import DeviceLoader
from segal.distributed import ranks
from segal.errors import DataError, StateError
from segal.experiment.committee import Committee
from segal.experiment.data import Data
from segal.experiment.network import Networks
from segal.experiment.phase_hooks import PhaseHooks
from segal.hooks.evaluation import EvaluationHook
from segal.hooks.snapshot import snapshots
from segal.model_wrapper import ModelWrapper
from segal.models.losses.class_balance import (
    class_weights,
    weigh_classes,
)
from segal.models.weights import last_checkpoint, newest_whole
from segal.rounds import plain
from segal.runner.inner import (
    RoundContext,
    RoundEpochRunner,
    RoundIterRunner,
    save_checkpoint,
)


@dataclass
class Training:
    """One training phase, ready to run.

    Attributes:
        runner: The inner runner, with its hooks.
        loader: Training batches.
        evaluation: The hook that evaluates.
        wrapper: The network, for the query.
        keeps_optimizer: Whether ``final.pth`` has the optimizer's state.
        before: Seconds of training and evaluation until the snapshot that
            the phase goes on from; empty for a new phase.
    """

    runner: Any
    loader: DataLoader
    evaluation: EvaluationHook
    wrapper: ModelWrapper
    keeps_optimizer: bool
    before: Mapping[str, float]

    @property
    def source_images(self) -> int:
        """Count the images of labelled sources in the training set."""
        return self.loader.dataset.source_images  # type: ignore[attr-defined]

    def run(self) -> dict[str, Any]:
        """Train, evaluate and save ``final.pth``."""
        begin = time.perf_counter() - sum(self.before.values())
        self.evaluation.seconds = self.before.get('evaluation', 0.0)

        def seconds() -> dict[str, float]:
            evaluation = self.evaluation.seconds
            train = time.perf_counter() - begin - evaluation
            return dict(train=train, evaluation=evaluation)

        runner = self.runner
        runner.seconds = seconds
        ranks.check_same_state(self.wrapper.model, 'before training')
        runner.fit(self.loader)
        took = seconds()
        ranks.sync_buffers(self.wrapper.model)
        with ranks.together():
            if ranks.is_main():
                folder = Path(runner.work_dir)
                content = runner.checkpoint(runner.epoch, runner.iter)
                if not self.keeps_optimizer:
                    del content['optimizer']
                save_checkpoint(content, folder / 'final.pth')
                for path in snapshots(folder):
                    path.unlink()
        result = dict(
            iterations=runner.iter - runner.context.first_iter,
            metrics=self.evaluation.latest or runner.meta.get('metrics', {}),
            seconds=took,
        )
        messages = runner.meta.get('hook_msgs', {})
        if 'best_score' in messages:
            result['best'] = {
                self.evaluation.key_indicator: messages['best_score'],
                'file': Path(messages['best_ckpt']).name,
            }
        return result


def remove(path: Path) -> None:
    """Remove a file, if it is there."""
    path.unlink(missing_ok=True)


@dataclass(eq=False)
class PhaseBuilder:
    """Build the training phase of each round, for the outer runner."""

    cfg: Config
    config: ActiveLearningConfig
    data: Data
    store: LabelStore
    work_dir: Path
    device: torch.device
    logger: logging.Logger

    def __post_init__(self) -> None:
        cfg, config, data = self.cfg, self.config, self.data
        device, logger = self.device, self.logger
        self.networks = Networks(cfg, config, data.classes, device, logger)
        self.hooks = PhaseHooks(cfg, config, data.val, self.work_dir, device)
        self._cache: ImageCache | None = None
        if config.speed.image_cache is not None:
            files = [info['filename'] for info in data.view.img_infos]
            self._cache = ImageCache(files, config.speed.image_cache << 20)
        self._committee = Committee(
            config.committee, cfg, data.classes, device, self._trained, logger
        )

    def training(self, round: int, before: Sequence[int]) -> Training:
        """Build a training phase, after rounds of so many iterations.

        Raises:
            DataError: There is nothing to train on.
            StateError: Weights that do not fit.
        """
        loader, sampler = self._train_loader(round)
        model = (
            self.networks.first(round)
            if round == 0 or self.config.reset.weights
            else self._trained(round - 1)
        )
        self._balance(model)
        network = self.networks.parallel(model)
        optimizer = build_optimizer(network, copy.deepcopy(self.cfg.optimizer))
        if round and not self.config.reset.optimizer:
            optimizer.load_state_dict(self._final(round - 1)['optimizer'])
        context = RoundContext(
            round,
            len(self.config.phases),
            self.work_dir,
            step_offset=sum(before),
            span=span_of(self.config, round, before, len(sampler)),
        )
        by_epoch = self.config.runner.by_epoch
        first = sum(self._lengths(round))
        end = first + self.config.phases[round].train
        kind = RoundEpochRunner if by_epoch else RoundIterRunner
        runner = kind(
            model=network,
            optimizer=optimizer,
            logger=self.logger,
            work_dir=str(self.work_dir / f'round_{round:03d}'),
            meta=plain(
                dict(
                    CLASSES=self.data.classes,
                    PALETTE=self.data.palette,
                    mmcv_version=mmcv.__version__,
                    segal_version=__version__,
                    mmseg_version=mmseg.__version__,
                    seed=self.config.seed,
                    round=round,
                )
            ),
            **{'max_epochs' if by_epoch else 'max_iters': end},
        )
        runner.context = context
        runner._iter = context.first_iter
        runner._epoch = first if by_epoch else 0
        snapshot = self._snapshot(Path(runner.work_dir))
        evaluation = self.hooks.register(runner, snapshot)
        if snapshot is not None:
            runner.count_from(snapshot)
            if by_epoch:  # the epochs of another number of processes differ
                done = (runner.epoch - first) * len(sampler)
                runner._iter = context.first_iter + done
            done = runner.iter - context.first_iter
            sampler.start_at(done)
            self.logger.info(
                'round %d goes on after %d of its iterations', round, done
            )
        return Training(
            runner,
            loader,
            evaluation,
            ModelWrapper(model, self.device),
            self.config.keeps_optimizer,
            (snapshot or {}).get('seconds') or {},
        )

    def _balance(self, model: nn.Module) -> None:
        """Weigh classes by how rare they are among the bought labels."""
        balance = self.config.keys.class_balance
        if balance is None:
            return
        classes = self.data.classes
        counts = self.store.class_counts()[: len(classes)]
        weights = class_weights(counts, balance.power)
        weigh_classes(model, weights)
        self.logger.info(
            'class weights of the loss: %s',
            ', '.join(
                f'{name} {weight:.2f} ({count} labels)'
                for name, weight, count in zip(
                    classes, weights, counts, strict=True
                )
            ),
        )

    def _snapshot(self, folder: Path) -> dict[str, Any] | None:
        """Read the snapshot of a killed phase on rank 0, for all ranks."""
        found = None
        if ranks.is_main():
            found = newest_whole(snapshots(folder), self.logger, True)
        return ranks.broadcast(found)

    def _final(self, round: int) -> dict[str, Any]:
        """Read the last checkpoint of a round on rank 0, for all ranks.

        The checkpoint hook's own file of the same moment stands in for it.
        """
        content = None
        path = last_checkpoint(self.work_dir, round)
        if ranks.is_main():
            end = sum(self._lengths(round)) + self.config.phases[round].train
            unit = 'epoch' if self.config.runner.by_epoch else 'iter'
            stand_in = path.with_name(f'{unit}_{end}.pth')
            paths = [path, *([stand_in] if stand_in.exists() else [])]
            needed = not self.config.reset.optimizer
            content = newest_whole(paths, self.logger, needed)
        content = ranks.broadcast(content)
        if content is None:
            raise StateError(
                f'{path}: wanted the checkpoint of round {round}, but it is '
                'missing or cannot be read; restore it from a copy, or take '
                'the rows from this round on out of rounds.json: they are '
                'then trained anew, and no label is lost'
            )
        return content

    def _lengths(self, round: int) -> list[int]:
        """List the lengths of the earlier phases of the same schedule."""
        if self.config.reset.schedule:
            return []
        return [phase.train for phase in self.config.phases[:round]]

    def wrapper(self, round: int) -> ModelWrapper:
        """Load the model that a finished phase left.

        Raises:
            StateError: Its checkpoint is missing or hurt.
        """
        model = self._trained(round).to(self.device)
        return ModelWrapper(model, self.device)

    def tidy(self, round: int) -> None:
        """Remove mmcv's checkpoints of a round that is done.

        ``final.pth`` and the best one stay. Nothing is removed where
        ``final.pth`` is missing.
        """
        final = last_checkpoint(self.work_dir, round)
        unit = 'epoch' if self.config.runner.by_epoch else 'iter'
        if self.config.keys.keep_checkpoints or not ranks.is_main():
            return
        if final.exists():
            for path in [
                final.with_name('latest.pth'),
                *sorted(final.parent.glob(f'{unit}_*.pth')),
            ]:
                remove(path)

    def committee(self, round: int, asked: bool) -> list[ModelWrapper]:
        """Load the committee of a round."""
        return self._committee.gather(round, asked)

    def _trained(self, round: int) -> nn.Module:
        """Load the network as a round left it."""
        return self.networks.again(
            self._final(round)['state_dict'],
            str(last_checkpoint(self.work_dir, round)),
        )

    def reporters(self) -> list[Hook]:
        """Build the hooks that report a finished round."""
        return self.hooks.reporters()

    def _train_loader(self, round: int) -> tuple[DataLoader, BatchSampler]:
        """Build the loader of everything labelled so far."""
        options = {
            'workers_per_gpu': 2,
            **self.cfg.data,
            **self.cfg.data.get('train_dataloader', {}),
        }
        batch, workers = options['samples_per_gpu'], options['workers_per_gpu']
        on_device = self.config.speed.augment_on_device
        dataset = ActiveDataset(
            self.data.view,
            self.data.positions,
            self.store,
            list(self.data.sources.values()),
            self.config.seed,
            round,
            self.config.ignore_index,
            self.config.keys.pseudo_labels is not None,
            self._cache,
            defer if on_device else as_they_are,
        )
        sampler = batch_sampler(
            len(dataset.names),
            dataset.source_images,
            batch,
            self.config.keys.sources.per_batch,
            self.config.seed,
            round,
            ranks.rank(),
            ranks.world_size(),
            options.get('drop_last', False),
            endless=not self.config.runner.by_epoch,
        )
        if len(sampler) == 0:
            counts = self.store.counts()
            mend = "or set active_learning.oracle.void='exclude'"
            if 'void' not in self.config.oracle:  # people answer
                mend = 'and answer with a class where there is one'
            raise DataError(
                f'round {round}: wanted at least one labelled image to train '
                f'on, got none: of {counts.requested} requests {counts.void} '
                f'were void and {counts.refused} refused; raise the initial '
                f'labels, {mend}'
            )
        kind: Any = DataLoader
        if on_device:
            kind = partial(DeviceLoader, self.device)
        loader = kind(
            dataset,
            batch_sampler=sampler,
            num_workers=workers,
            collate_fn=partial(collate, samples_per_gpu=batch),
            pin_memory=self.device.type == 'cuda',
            persistent_workers=workers > 0,
        )
        return loader, sampler
