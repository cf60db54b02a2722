"""Builds one training phase: everything afresh, from copies of its config."""

from __future__ import annotations

import copy
import logging
import time
from functools import partial
from pathlib import Path
from typing import Any

import mmcv
import mmseg
import numpy as np
import torch
from mmcv import Config
from mmcv.cnn.utils import revert_sync_batchnorm
from mmcv.parallel import collate
from mmcv.runner import (
    HOOKS,
    RUNNERS,
    EpochBasedRunner,
    Hook,
    LoggerHook,
    build_optimizer,
    load_checkpoint,
)
from mmcv.runner.priority import get_priority
from mmcv.utils import build_from_cfg
from mmseg.models import build_segmentor
from mmseg.utils import build_ddp, build_dp
from torch import nn
from torch.utils.data import DataLoader

from segal import __version__
from segal import distributed as ranks
from segal.active.dataset.active_dataset import ActiveDataset
from segal.active.dataset.sampler import RoundBatchSampler
from segal.active.label_store import LabelStore
from segal.config.schema import ActiveLearningConfig
from segal.errors import DataError, StateError
from segal.hooks.curve import CurveHook
from segal.hooks.evaluation import EvaluationHook
from segal.hooks.randomness import KeyedRandomnessHook
from segal.hooks.snapshot import SnapshotHook, snapshots
from segal.hooks.visualize import VisualizeHook
from segal.model_wrapper import ModelWrapper
from segal.runner.inner import RoundContext, save_checkpoint
from segal.runner.rounds import plain
from segal.seeding import seed_all
from segal.utils.data import Data
from segal.utils.weights import (
    init_own_way,
    last_checkpoint,
    load_backbone,
    newest_whole,
)


class Training:
    """One training phase, ready to run.

    Args:
        runner: The inner runner, with its hooks.
        loader: Training batches.
        evaluation: The hook that evaluates.
        wrapper: The network, for the query.
    """

    def __init__(
        self,
        runner: Any,
        loader: DataLoader,
        evaluation: EvaluationHook,
        wrapper: ModelWrapper,
    ) -> None:
        self.runner = runner
        self.loader = loader
        self.evaluation = evaluation
        self.wrapper = wrapper

    def run(self) -> dict[str, Any]:
        """Train, evaluate, save ``final.pth``; see the outer runner."""
        begin = time.perf_counter()
        runner = self.runner
        ranks.check_same_state(self.wrapper.model, 'before training')
        runner.fit(self.loader)
        seconds = time.perf_counter() - begin
        ranks.sync_buffers(self.wrapper.model)
        if ranks.is_main():
            folder = Path(runner.work_dir)
            save_checkpoint(
                runner.checkpoint(runner.epoch, runner.iter),
                folder / 'final.pth',
            )
            for path in snapshots(folder):
                path.unlink()
        result = dict(
            iterations=runner.iter - runner.context.first_iter,
            metrics=self.evaluation.latest or runner.meta.get('metrics', {}),
            seconds=dict(
                train=seconds - self.evaluation.seconds,
                evaluation=self.evaluation.seconds,
            ),
        )
        messages = runner.meta.get('hook_msgs', {})
        if 'best_score' in messages:
            result['best'] = {
                self.evaluation.key_indicator: messages['best_score'],
                'file': Path(messages['best_ckpt']).name,
            }
        return result


class PhaseBuilder:
    """Builds what each round needs; the outer runner's factory.

    Args:
        cfg: Translated config.
        config: Its active learning, read.
        data: The data sets.
        store: What was bought.
        work_dir: The experiment's folder.
        device: Where to train.
        logger: For everything that is said.
    """

    def __init__(
        self,
        cfg: Config,
        config: ActiveLearningConfig,
        data: Data,
        store: LabelStore,
        work_dir: Path,
        device: torch.device,
        logger: logging.Logger,
    ) -> None:
        self.cfg = cfg
        self.config = config
        self.data = data
        self.store = store
        self.work_dir = work_dir
        self.device = device
        self.logger = logger

    def training(self, round: int, iterations: int) -> Training:
        """A phase with everything it needs.

        Args:
            round: From 0.
            iterations: Of all rounds before.

        Raises:
            DataError: There is nothing to train on.
            StateError: Weights that do not fit.
        """
        loader, sampler = self._train_loader(round)
        model = self._first_weights(round)
        network = self._parallel(model)
        optimizer = build_optimizer(network, copy.deepcopy(self.cfg.optimizer))
        if round and not self.config.reset.optimizer:
            optimizer.load_state_dict(self._final(round - 1)['optimizer'])
        context = self._context(round, iterations, len(sampler))
        length = self.config.phases[round].train
        by_epoch = self.config.by_epoch
        first = sum(self._lengths(round))
        kind = RUNNERS.get(
            'RoundEpochRunner' if by_epoch else 'RoundIterRunner'
        )
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
            **{'max_epochs' if by_epoch else 'max_iters': first + length},
        )
        runner.context = context
        runner._iter = context.first_iter
        runner._epoch = first if by_epoch else 0
        snapshot = self._snapshot(Path(runner.work_dir))
        evaluation = self._add_hooks(runner, snapshot)
        if snapshot is not None:
            runner.count_from(snapshot)
            done = runner.iter - context.first_iter
            if by_epoch:  # another number of processes has other epochs
                done = (runner.epoch - first) * len(sampler)
            sampler.start_at(done)
            self.logger.info(
                'round %d goes on after %d of its iterations',
                round,
                runner.iter - context.first_iter,
            )
        return Training(
            runner, loader, evaluation, ModelWrapper(model, self.device)
        )

    def _snapshot(self, folder: Path) -> dict[str, Any] | None:
        """What a phase that was killed left, read by rank 0 for all."""
        found = None
        if ranks.is_main():
            found = newest_whole(snapshots(folder), self.logger)
        return ranks.broadcast(found)

    def _final(self, round: int) -> dict[str, Any]:
        """The last checkpoint of a round, read by rank 0 for all.

        The checkpoint hook's own file of the same moment stands in for it.

        Raises:
            StateError: Both are missing or hurt.
        """
        content = None
        path = last_checkpoint(self.work_dir, round)
        if ranks.is_main():
            end = sum(self._lengths(round)) + self.config.phases[round].train
            unit = 'epoch' if self.config.by_epoch else 'iter'
            stand_in = path.with_name(f'{unit}_{end}.pth')
            paths = [path, *([stand_in] if stand_in.exists() else [])]
            content = newest_whole(paths, self.logger)
        content = ranks.broadcast(content)
        if content is None:
            raise StateError(
                f'{path}: wanted the checkpoint of round {round}, but it is '
                'missing or cannot be read; restore it from a copy, or take '
                'the rows from this round on out of rounds.json: they are '
                'then trained anew, and no label is lost'
            )
        return content

    def _load_final(self, model: nn.Module, round: int) -> None:
        """Give a network the weights that a round ended with.

        What hooks added to the round's own (EMA's second set) is left out.

        Raises:
            StateError: They are missing, hurt, or of another network.
        """
        found = self._final(round)['state_dict']
        wanted = model.state_dict().keys()
        try:
            model.load_state_dict(
                {name: found[name] for name in wanted if name in found}
            )
        except RuntimeError as error:
            raise StateError(
                f'{last_checkpoint(self.work_dir, round)}: wanted the weights '
                f'of this network, got others ({error}); restore the file '
                'from a copy'
            ) from error

    def _lengths(self, round: int) -> list[int]:
        """Lengths of the phases before this one in the same schedule."""
        if self.config.reset.schedule:
            return []
        return [phase.train for phase in self.config.phases[:round]]

    def wrapper(self, round: int) -> ModelWrapper:
        """The model that a finished phase left.

        Raises:
            StateError: Its checkpoint is missing or hurt.
        """
        model = self.build_model()
        self._load_final(model, round)
        return ModelWrapper(model.to(self.device), self.device)

    def reporters(self) -> list[Hook]:
        """The hooks that are told of a round that is over.

        For a round that this process did not train; else they are those of
        the phase.
        """
        hooks = []
        logs = copy.deepcopy(self.cfg.get('log_config') or {})
        for cfg in [
            *logs.get('hooks', []),
            *copy.deepcopy(self.cfg.get('custom_hooks') or []),
        ]:
            kind = HOOKS.get(cfg['type'])
            if hasattr(kind, 'after_round'):
                priority = cfg.pop('priority', 'NORMAL')
                hook = build_from_cfg(cfg, HOOKS)
                hook.priority = get_priority(priority)
                hooks.append(hook)
        for hook in self._drawing_hooks():
            hook.priority = get_priority('LOW')
            hooks.append(hook)
        return hooks

    def _drawing_hooks(self) -> list[Hook]:
        """What draws a round."""
        viz = self.config.visualize
        hooks: list[Hook] = []
        if viz is not None:
            hooks.append(VisualizeHook(viz.size, viz.overlay, viz.dir))
        return [*hooks, CurveHook()]

    def build_model(self) -> nn.Module:
        """The network of the config, uninitialised."""
        cfg = copy.deepcopy(self.cfg)
        model = build_segmentor(
            cfg.model,
            train_cfg=cfg.get('train_cfg'),
            test_cfg=cfg.get('test_cfg'),
        )
        if self.device.type != 'cuda':
            model = revert_sync_batchnorm(model)
        model.CLASSES = self.data.classes
        return model

    def _first_weights(self, round: int) -> nn.Module:
        """The network as the round begins."""
        fresh = round == 0 or self.config.reset.weights
        seed_all(self.config.seed, round if fresh else 0, 'weights')
        model: Any = self.build_model()
        if not fresh:
            self._load_final(model, round - 1)
            return model
        backbone: Any = model.backbone
        source = self.config.checkpoint
        init = getattr(backbone, 'init_cfg', None)
        if (
            source is None
            and isinstance(init, dict)
            and init.get('type') == 'Pretrained'
            and 'checkpoint' in init
        ):
            source = init['checkpoint']
            if 'init_weights' in vars(type(backbone)):
                init_own_way(backbone, source)
                model.init_weights()
                return model
        if source is not None:
            backbone.init_cfg = None
        model.init_weights()
        if source is not None:
            load_backbone(backbone, source, self.logger)
        if self.cfg.get('load_from'):
            self._load_from(model, self.cfg.load_from)
        return model

    def _load_from(self, model: nn.Module, source: str) -> None:
        """A whole network's weights, such as those of a source domain."""
        before = ranks.state_hash(model)
        try:
            load_checkpoint(
                model, source, map_location='cpu', logger=self.logger
            )
        except Exception as error:
            raise StateError(
                f'load_from: {source} cannot be loaded '
                f'({type(error).__name__}: {error})'
            ) from error
        if ranks.state_hash(model) == before:
            raise StateError(
                f'load_from: no weight of {source} fits the '
                'model; name a checkpoint of the same network'
            )

    def _parallel(self, model: nn.Module) -> nn.Module:
        """The network wrapped as mmseg trains it."""
        if ranks.world_size() == 1:
            ids = (
                [torch.cuda.current_device()]
                if (self.device.type == 'cuda')
                else None
            )
            return build_dp(model, self.device.type, device_ids=ids)
        ids = (
            [torch.cuda.current_device()]
            if (self.device.type == 'cuda')
            else None
        )
        return build_ddp(
            model,
            self.device.type,
            device_ids=ids,
            broadcast_buffers=False,
            find_unused_parameters=self.cfg.get(
                'find_unused_parameters', False
            ),
        )

    def _train_loader(
        self,
        round: int,
    ) -> tuple[DataLoader, RoundBatchSampler]:
        """Batches of everything labelled so far."""
        options = {
            **self.cfg.data,
            **self.cfg.data.get('train_dataloader', {}),
        }
        batch, workers = options['samples_per_gpu'], options['workers_per_gpu']
        dataset = ActiveDataset(
            self.data.view,
            self.data.positions,
            self.store,
            self.data.sources,
            self.config.seed,
            round,
            self.config.ignore_index,
        )
        sampler = RoundBatchSampler(
            len(dataset),
            batch,
            self.config.seed,
            round,
            ranks.rank(),
            ranks.world_size(),
            options.get('drop_last', False),
            endless=not self.config.by_epoch,
        )
        if len(sampler) == 0:
            counts = self.store.counts()
            raise DataError(
                f'round {round}: wanted at least one labelled image to train '
                f'on, got none: of {counts.requested} requests {counts.void} '
                f'were void and {counts.refused} refused; raise the initial '
                "labels, or set active_learning.oracle.void='exclude'"
            )
        loader = DataLoader(
            dataset,
            batch_sampler=sampler,
            num_workers=workers,
            collate_fn=partial(collate, samples_per_gpu=batch),
            pin_memory=self.device.type == 'cuda',
            persistent_workers=workers > 0,
        )
        return loader, sampler

    def _context(
        self,
        round: int,
        iterations: int,
        per_epoch: int,
    ) -> RoundContext:
        """Where the round stands in the experiment and in its schedule."""
        lengths = [phase.train for phase in self.config.phases]
        resets, by_epoch = self.config.reset.schedule, self.config.by_epoch
        first = 0 if resets else iterations
        left = lengths[round] if resets else sum(lengths[round:])
        total = lengths[round] if resets else sum(lengths)
        return RoundContext(
            round=round,
            rounds=len(lengths),
            work_dir=self.work_dir,
            step_offset=iterations,
            first_iter=first,
            schedule_iters=first + left * (per_epoch if by_epoch else 1),
            schedule_epochs=total if by_epoch else None,
        )

    def _add_hooks(
        self, runner: Any, snapshot: dict[str, Any] | None
    ) -> EvaluationHook:
        """Mmcv's training hooks and ours, each from a copy of its config."""
        cfg = copy.deepcopy(self.cfg)
        checkpoints = cfg.get('checkpoint_config')
        if checkpoints is not None:
            checkpoints.setdefault('max_keep_ckpts', 2)
        for hook in cfg.get('log_config', {}).get('hooks', []):
            if hook['type'] == 'TensorboardLoggerHook':
                hook.setdefault('log_dir', str(self.work_dir / 'tf_logs'))
        optimizer_config = cfg.get('optimizer_config') or {}
        if cfg.get('fp16') and self.device.type == 'cuda':
            optimizer_config.setdefault('type', 'Fp16OptimizerHook')
            for name, value in cfg.fp16.items():
                optimizer_config.setdefault(name, value)
        runner.register_training_hooks(
            cfg.get('lr_config'),
            optimizer_config,
            checkpoints,
            cfg.get('log_config'),
            cfg.get('momentum_config'),
            custom_hooks_config=cfg.get('custom_hooks'),
        )
        runner.register_hook(KeyedRandomnessHook(self.config.seed))
        every = min((checkpoints or {}).get('interval', 1000), 1000)
        runner.register_hook(
            SnapshotHook(None if self.config.by_epoch else every, snapshot),
            priority='LOWEST',
        )
        evaluation = self._evaluation()
        runner.register_hook(evaluation, priority='LOW')
        for hook in self._drawing_hooks():
            runner.register_hook(hook, priority='LOW')
        for hook in runner.hooks:
            if isinstance(hook, LoggerHook):
                hook.get_iter = partial(_global_iter, hook)
        return evaluation

    def _evaluation(self) -> EvaluationHook:
        """The evaluation of this rank's share of ``data.val``."""
        indices = list(
            range(ranks.rank(), len(self.data.val), ranks.world_size())
        )
        options = {**self.cfg.data, **self.cfg.data.get('val_dataloader', {})}
        loader = DataLoader(
            self.data.val,
            batch_sampler=[[index] for index in indices],
            num_workers=min(options['workers_per_gpu'], len(indices)),
            collate_fn=partial(collate, samples_per_gpu=1),
        )
        options = dict(self.cfg.get('evaluation', {}))
        options.setdefault('by_epoch', self.config.by_epoch)
        return EvaluationHook(loader, indices, **options)


def _global_iter(
    hook: LoggerHook,
    runner: Any,
    inner_iter: bool = False,
) -> int:
    """Mmcv's ``get_iter``, counted over all rounds."""
    if hook.by_epoch and inner_iter:
        return runner.inner_iter + 1
    epoch_is_over = (
        isinstance(runner, EpochBasedRunner) and hook.get_mode(runner) == 'val'
    )
    return runner.step + (0 if epoch_is_over else 1)


def checkpoint_bytes(model: nn.Module) -> int:
    """How much disk a checkpoint takes with Adam's two moments, in bytes."""
    weights = sum(
        value.numel() * value.element_size()
        for value in model.state_dict().values()
    )
    moments = 2 * sum(
        parameter.numel() * parameter.element_size()
        for parameter in model.parameters()
    )
    return int(np.int64(weights + moments))
