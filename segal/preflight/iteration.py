"""Run one training iteration on its own network, with the hooks."""

from __future__ import annotations

import copy
import math
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmcv.parallel import DataContainer, collate
from mmcv.runner import (
    CheckpointHook,
    EMAHook,
    LrUpdaterHook,
    OptimizerHook,
    TextLoggerHook,
)
from mmcv.runner.hooks.momentum_updater import MomentumUpdaterHook
from mmseg.core import build_optimizer
from mmseg.utils import build_dp
from torch import Tensor, nn
from torch.utils.data import DataLoader

from segal.active.dataset.active_dataset import FROM_SOURCE, UNASKED
from segal.compiled_ops import MissingOpError
from segal.config.spans import span_of
from segal.distributed import ranks
from segal.hooks.pseudo_labels import WEAK
from segal.preflight.base import QUIET, Preflight, content, in_words
from segal.rounds import plain
from segal.runner.inner import (
    RoundContext,
    RoundEpochRunner,
    RoundIterRunner,
)

SECTIONS = {
    LrUpdaterHook: 'lr_config',
    MomentumUpdaterHook: 'momentum_config',
    OptimizerHook: 'optimizer_config',
    CheckpointHook: 'checkpoint_config',
    TextLoggerHook: 'log_config',
    EMAHook: 'custom_hooks',
}
"""Hooks that can run in a preflight -> their section.

Others may write files or call a server: they are built, and not run.
"""

PATIENCE = 1.0
"""Most seconds of a full training step on a CPU, estimated."""

STEP_PER_FORWARD = 6
"""Time of a step with two images, in forward passes of one image."""

SMALL = 64
"""Sides of the crop for a slow network are multiples of it."""


def _name_checkpoint(
    out_dir: str,
    filename_tmpl: str | None = None,
    save_optimizer: bool = True,
    meta: Mapping[str, Any] | None = None,
    create_symlink: bool = True,
) -> None:
    """Make the name and the meta of a checkpoint, and no file."""
    if filename_tmpl is not None:
        names = {filename_tmpl.format(number) for number in (1, 2)}
        for name in names:
            if not name or Path(name).name != name:
                raise ValueError(
                    'filename_tmpl: wanted the name of a file, without a '
                    f'folder; got {filename_tmpl!r}'
                )
        if len(names) == 1:
            raise ValueError(
                'filename_tmpl: wanted a place for the number, such as '
                f"'epoch_{{}}.pth'; got {filename_tmpl!r}"
            )
    plain({**(meta or {})})


def train(
    model: nn.Module,
    sample: Mapping[str, Any],
    parts: Preflight,
    seconds: float,
    problems: list[str],
) -> str:
    """Take one step of the optimizer, with a label on every pixel.

    Args:
        model: Its own network, which it may change.
        sample: mmseg's training sample of the pool.
        parts: The experiment.
        seconds: Duration of a query of one image.
        problems: Gets what is wrong.

    Returns:
        What was left out to save time; empty: nothing.
    """
    whole = labelled(sample, len(parts.data.classes))
    estimate = ranks.broadcast(seconds) * STEP_PER_FORWARD
    if parts.device.type != 'cpu' or estimate <= PATIENCE:
        problems += _step(model, whole, parts)
        return ''
    cut = cropped(whole, math.sqrt(PATIENCE / estimate))
    height, width = content(cut['img']).shape[1:]
    if _step(model, cut, parts):  # some networks need their own size
        problems += _step(model, whole, parts)
        return ''
    return f'; the training step on {height}x{width} pixels of an image'


def labelled(sample: Mapping[str, Any], classes: int) -> dict[str, Any]:
    """Make a sample of the pool with labels: each class in turn.

    Inputs of pseudo-labels are left out, as their hook removes them.
    """
    made = {k: v for k, v in sample.items() if k not in (UNASKED, WEAK)}
    meta = {**content(sample['img_metas']), FROM_SOURCE: False}
    made['img_metas'] = _like(sample['img_metas'], meta)
    old = made['gt_semantic_seg']
    labels = content(old)  # (1, h, w)
    turns = torch.arange(labels.numel()) % classes
    new = turns.to(labels.dtype).view(labels.shape)
    made['gt_semantic_seg'] = _like(old, new)
    return made


def cropped(sample: Mapping[str, Any], share: float) -> dict[str, Any]:
    """Crop the upper left of a sample, for a network that is slow here."""
    height, width = (
        min(side, max(SMALL, int(side * share) // SMALL * SMALL))
        for side in content(sample['img']).shape[1:]
    )
    made = {
        key: _like(value, content(value)[..., :height, :width])
        if isinstance(content(value), Tensor)
        else value
        for key, value in sample.items()
    }
    meta = dict(content(sample['img_metas']))
    for key in ('img_shape', 'pad_shape'):
        if key in meta:
            meta[key] = (height, width, *meta[key][2:])
    made['img_metas'] = _like(sample['img_metas'], meta)
    return made


def _like(old: Any, value: Any) -> Any:
    """Wrap a value in a container like that of another."""
    if not isinstance(old, DataContainer):
        return value
    return DataContainer(
        value, old.stack, old.padding_value, old.cpu_only, old.pad_dims
    )


def _step(
    model: nn.Module, sample: Mapping[str, Any], parts: Preflight
) -> list[str]:
    """Run one iteration, and list its problems."""
    loader: DataLoader = DataLoader(
        [sample, sample],  # type: ignore[arg-type]
        batch_size=2,  # the least for batch norm after global pooling
        collate_fn=partial(collate, samples_per_gpu=2),
    )
    with tempfile.TemporaryDirectory() as folder:
        return _Iteration(model, loader, parts, folder).run()


class _Iteration:
    """Run the first iteration of a phase, and check momenta to its end."""

    def __init__(
        self,
        model: nn.Module,
        loader: DataLoader,
        parts: Preflight,
        folder: str,
    ) -> None:
        self.parts = parts
        self.loader = loader
        self.problems: list[str] = []
        device = parts.device
        ids = [torch.cuda.current_device()] if device.type == 'cuda' else None
        network = build_dp(model.train(), device.type, device_ids=ids)
        config, cfg = parts.config, parts.cfg
        by_epoch, length = config.runner.by_epoch, config.phases[0].train
        kind = RoundEpochRunner if by_epoch else RoundIterRunner
        runner: Any = kind(
            model=network,
            optimizer=build_optimizer(network, copy.deepcopy(cfg.optimizer)),
            logger=QUIET,
            work_dir=folder,
            meta={},
            **{'max_epochs' if by_epoch else 'max_iters': length},
        )
        runner.save_checkpoint = _name_checkpoint
        span = span_of(config, 0, (), per_epoch=1)  # one batch is an epoch
        rounds = len(config.phases)
        runner.context = RoundContext(0, rounds, Path(folder), 0, span)
        sections = parts.hooks.sections()
        checkpoints = sections['checkpoint_config'] or {}
        if checkpoints.get('type', 'CheckpointHook') == 'CheckpointHook':
            checkpoints['interval'] = 1  # after the first iteration, too
        runner.register_training_hooks(
            sections['lr_config'],
            sections['optimizer_config'],
            sections['checkpoint_config'],
            sections['log_config'],
            sections['momentum_config'],
            custom_hooks_config=sections['custom_hooks'],
        )
        runner._hooks = [hook for hook in runner.hooks if _section(hook)]
        runner.data_loader = loader
        runner.mode = 'train'
        runner._inner_iter = 0
        self.runner = runner
        self.length = length

    def run(self) -> list[str]:
        """Call the hooks as mmcv's runner does.

        Returns:
            The problems, at most one of each section.
        """
        runner = self.runner
        by_epoch = self.parts.config.runner.by_epoch
        self._call('before_run', 'before_train_epoch')
        self._call('before_train_iter')
        if not self.problems:
            self._forward()
        if not self.problems:
            self._optimize()
            if by_epoch:
                self._call('after_train_epoch')
        if self.problems:
            return self.problems
        last = self.length - 1
        for place in sorted({0, last // 2, last}):
            runner._iter = place
            runner._epoch = place if by_epoch else 0
            self._call('before_train_epoch', 'before_train_iter')
            self._momenta()
        return list(dict.fromkeys(self.problems))

    def _call(self, *moments: str) -> None:
        """Call each hook at some moments, and gather what it raises."""
        for moment in moments:
            for hook in self.runner.hooks:
                where = _section(hook)
                if any(one.startswith(where) for one in self.problems):
                    continue
                try:
                    getattr(hook, moment)(self.runner)
                except torch.OutOfMemoryError:
                    raise
                except Exception as error:
                    got = self.parts.cfg.get(where)
                    self.problems.append(
                        f'{where}: does not work: {in_words(error)}, in '
                        f'{type(hook).__name__}.{moment}; correct it (got '
                        f'{got})'
                    )

    def _optimize(self) -> None:
        """Let hooks step the optimizer, and check that weights move."""
        weights = [
            value
            for group in self.runner.optimizer.param_groups
            for value in group['params']
            if value.requires_grad and value.dim() > 1
        ]

        def moved() -> bool:
            return any(
                value.grad is not None and bool(value.grad.any())
                for value in weights
            )

        seen: list[bool] = []
        hook = self.runner.optimizer.register_step_pre_hook(
            lambda *_: seen.append(moved())
        )
        self._call('after_train_iter')
        hook.remove()
        # Gradients that are gathered wait for a later step.
        if not self.problems and weights and not any(seen or [moved()]):
            self.problems.append(
                'model, optimizer_config: wanted gradients to step with; got '
                'zeros for every weight, so that nothing would be trained. '
                'Correct loss_weight and dropout_ratio of the heads, and '
                'grad_clip'
            )

    def _forward(self) -> None:
        """Compute the losses of one batch."""
        runner = self.runner
        batch = next(iter(self.loader))
        runner.data_batch = batch
        try:
            outputs = runner.model.train_step(batch, runner.optimizer)
        except (MissingOpError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            self.problems.append(
                f'model: does not train on a batch: {in_words(error)}; '
                'correct loss_decode, class_weight and sampler of its heads'
            )
            return
        loss = outputs.get('loss') if isinstance(outputs, dict) else None
        if not isinstance(loss, Tensor) or not loss.requires_grad:
            self.problems.append(
                'model: wanted a loss to train on, got none; name at least '
                'one in loss_decode of a head, and leave some of the network '
                'unfrozen'
            )
            return
        if loss.numel() != 1:
            self.problems.append(
                'model: wanted a loss that is one number, got one of shape '
                f"{tuple(loss.shape)}; write reduction='mean'"
            )
            return
        runner.outputs = outputs
        if 'log_vars' in outputs:
            runner.log_buffer.update(
                outputs['log_vars'], outputs['num_samples']
            )
        runner.log_buffer.update(dict(time=0.0, data_time=0.0))

    def _momenta(self) -> None:
        """Check that every momentum can be trained with."""
        for group in self.runner.optimizer.param_groups:
            momentum = group.get('momentum', group.get('betas', (0,))[0])
            if not 0 <= momentum <= 1:
                self.problems.append(
                    'optimizer, momentum_config: wanted a momentum from 0 to '
                    f'1; got {momentum!r} in a phase, with which steps grow '
                    'and grow; correct it (got '
                    f'{self.parts.cfg.get("momentum_config")})'
                )
                return


def _section(hook: Any) -> str:
    """Name the section of a hook that can be run; empty: it cannot."""
    for kind, name in SECTIONS.items():
        if isinstance(hook, kind):
            exact = kind in (TextLoggerHook, CheckpointHook)
            return name if not exact or type(hook) is kind else ''
    return ''
