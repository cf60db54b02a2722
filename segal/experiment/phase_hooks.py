"""Build the hooks of a training phase, each from a copy of its config."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmcv import Config
from mmcv.parallel import collate
from mmcv.runner import (
    HOOKS,
    EpochBasedRunner,
    Hook,
    LoggerHook,
    TextLoggerHook,
)
from mmcv.runner.priority import get_priority
from mmcv.utils import build_from_cfg
from mmseg.datasets import CustomDataset
from torch.utils.data import DataLoader

from segal import terminal
from segal.config.schema import ActiveLearningConfig
from segal.config.shapes import CHECKPOINTS_KEPT
from segal.config.spans import fit, is_long
from segal.distributed import ranks
from segal.hooks.averaging import AveragingHook
from segal.hooks.curve import CurveHook
from segal.hooks.evaluation import EvaluationHook
from segal.hooks.gathering import gather_within_phase
from segal.hooks.pseudo_labels import PseudoLabelHook
from segal.hooks.randomness import KeyedRandomnessHook
from segal.hooks.screen import ScreenHook
from segal.hooks.snapshot import SnapshotHook
from segal.hooks.visualize import VisualizeHook


@dataclass(frozen=True)
class PhaseHooks:
    """Build new hooks for each phase."""

    cfg: Config
    config: ActiveLearningConfig
    val: CustomDataset
    work_dir: Path
    device: torch.device

    def register(
        self, runner: Any, snapshot: dict[str, Any] | None
    ) -> EvaluationHook:
        """Register mmcv's training hooks and ours on a phase.

        Returns:
            The evaluation hook.
        """
        cfg = self.sections()
        span = runner.context.span
        fit(cfg, span, self.config.inherited)
        if is_long(cfg['lr_config'], span):
            runner.logger.warning(
                'lr_config.warmup_iters: with the labels that were bought '
                'this round has %d iterations, of which the warm-up takes '
                'more than half',
                span.iters,
            )
        runner.register_training_hooks(
            cfg['lr_config'],
            cfg['optimizer_config'],
            cfg['checkpoint_config'],
            cfg['log_config'],
            cfg['momentum_config'],
            custom_hooks_config=cfg['custom_hooks'],
        )
        self._register_training(runner)
        runner.register_hook(KeyedRandomnessHook(self.config.seed))
        checkpoints = cfg['checkpoint_config'] or {}
        every = min(checkpoints.get('interval', 1000), 1000)
        runner.register_hook(
            SnapshotHook(
                None if self.config.runner.by_epoch else every, snapshot
            ),
            priority='LOWEST',
        )
        evaluation = self.evaluation()
        runner.register_hook(evaluation, priority='LOW')
        for hook in self._drawing_hooks():
            runner.register_hook(hook, priority='LOW')
        if terminal.is_drawn():
            runner.register_hook(ScreenHook(), priority='NORMAL')
        begin = snapshot['meta']['iter'] if snapshot else runner.iter
        gather_within_phase(runner, begin)
        for hook in runner.hooks:
            # the text says 'Iter [3/18]', of the schedule and not of all
            if isinstance(hook, LoggerHook) and not isinstance(
                hook, TextLoggerHook
            ):
                hook.get_iter = partial(_global_iter, hook)
        return evaluation

    def _register_training(self, runner: Any) -> None:
        """List our training hooks; the teacher of pseudo-labels runs first."""
        keys = self.config.keys
        if keys.average is not None:
            runner.register_hook(
                AveragingHook(keys.average.decay), priority='ABOVE_NORMAL'
            )  # after the optimizer's, before all that look at the network
        pseudo = keys.pseudo_labels
        if pseudo is not None:
            runner.register_hook(
                PseudoLabelHook(
                    pseudo.threshold,
                    pseudo.weight,
                    pseudo.begin,
                    self.config.phases[runner.context.round].train,
                    self.config.ignore_index,
                ),
                priority='VERY_HIGH',
            )

    def sections(self) -> dict[str, Any]:
        """Copy mmcv's hook sections of the config; None where unset."""
        cfg = copy.deepcopy(self.cfg)
        checkpoints = cfg.get('checkpoint_config')
        if checkpoints is not None:
            checkpoints.setdefault('max_keep_ckpts', CHECKPOINTS_KEPT)
        for hook in (cfg.get('log_config') or {}).get('hooks') or []:
            if hook['type'] == 'TensorboardLoggerHook':
                hook.setdefault('log_dir', str(self.work_dir / 'tf_logs'))
        for hook in cfg.get('custom_hooks') or []:
            if hook['type'] == 'EMAHook':  # before what saves the network
                hook.setdefault('priority', 'ABOVE_NORMAL')
        optimizer_config = cfg.get('optimizer_config') or {}
        if cfg.get('fp16') and self.device.type == 'cuda':
            optimizer_config.setdefault('type', 'Fp16OptimizerHook')
            for name, value in cfg.fp16.items():
                optimizer_config.setdefault(name, value)
        return dict(
            lr_config=cfg.get('lr_config'),
            momentum_config=cfg.get('momentum_config'),
            optimizer_config=optimizer_config,
            checkpoint_config=checkpoints,
            log_config=cfg.get('log_config'),
            custom_hooks=cfg.get('custom_hooks'),
        )

    def evaluation(self) -> EvaluationHook:
        """Build the evaluation of this rank's share of ``data.val``."""
        indices = list(range(ranks.rank(), len(self.val), ranks.world_size()))
        options = {
            'workers_per_gpu': 2,
            **self.cfg.data,
            **self.cfg.data.get('val_dataloader', {}),
        }
        loader = DataLoader(
            self.val,
            batch_sampler=[[index] for index in indices],
            num_workers=min(options['workers_per_gpu'], len(indices)),
            collate_fn=partial(collate, samples_per_gpu=1),
        )
        options = dict(self.cfg.get('evaluation', {}))
        options.setdefault('by_epoch', self.config.runner.by_epoch)
        return EvaluationHook(loader, indices, **options)

    def reporters(self) -> list[Hook]:
        """Build the hooks that report a round that this process did not train.

        A round that it trained is reported by the hooks of the phase.
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
        """Build the hook that draws a round."""
        viz = self.config.keys.visualize
        hooks: list[Hook] = []
        if viz is not None:
            hooks.append(VisualizeHook(viz.size, viz.overlay, viz.dir))
        if self.config.spending is not None:
            hooks.append(CurveHook('cost'))
        return [*hooks, CurveHook()]


def _global_iter(
    hook: LoggerHook, runner: Any, inner_iter: bool = False
) -> int:
    """Count mmcv's ``get_iter`` over all rounds."""
    if hook.by_epoch and inner_iter:
        return runner.inner_iter + 1
    epoch_is_over = (
        isinstance(runner, EpochBasedRunner) and hook.get_mode(runner) == 'val'
    )
    return runner.step + (0 if epoch_is_over else 1)
