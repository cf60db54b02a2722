"""Check the network and its compiled ops, the hooks and the evaluation."""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from mmcv.runner import DistEvalHook, EvalHook
from mmseg.datasets import CityscapesDataset, CustomDataset
from mmseg.models.losses import FocalLoss
from torch import nn

from segal.compiled_ops import MEND, MissingOpError, Placeholder, are_missing
from segal.config.keys import ActiveLearning
from segal.errors import nearest, unknown_keys
from segal.hooks.pseudo_labels import teachable_head
from segal.models.losses.class_balance import check_class_balance
from segal.preflight.base import QUIET, Preflight, build_problems, content
from segal.runner.inner import RoundEpochRunner

METRICS = ('mIoU', 'mDice', 'mFscore')
"""Metrics of ``CustomDataset.evaluate``."""


def options(model: nn.Module, keys: ActiveLearning) -> list[str]:
    """Check that the network can be trained as the config asks."""
    problems = []
    if keys.class_balance is not None:
        problems += check_class_balance(model)
    if keys.pseudo_labels and teachable_head(model) is None:
        problems.append(
            'active_learning.pseudo_labels: wanted a decode head with a '
            f'channel for each class, got {type(model).__name__} without '
            'one; leave pseudo_labels out, or choose another head'
        )
    return problems


def forward(
    model: Any, sample: Mapping[str, Any], parts: Preflight
) -> Iterator[str]:
    """Run the network on one training image, without gradients."""
    image = content(sample['img'])[None].to(parts.device)  # (1, 3, h, w)
    classes = len(parts.data.classes)
    model.eval()
    try:
        with torch.no_grad():
            logits = model.encode_decode(image, [content(sample['img_metas'])])
    except (MissingOpError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        yield (
            'model: does not run on a training sample of shape '
            f'{tuple(image.shape)}: {type(error).__name__}: {error}; correct '
            "in_channels, in_index and channels of the model's parts"
        )
        return
    got = logits.shape[1]
    if got != classes and not (got == 1 and classes == 2):
        yield (
            f'model: wanted {classes} output channels, one a class; got {got}'
        )


def hooks(parts: Preflight, problems: list[str]) -> None:
    """Build every hook that a section of the config describes."""
    cfg = parts.hooks.sections()
    runner = RoundEpochRunner(_Nothing(), logger=QUIET, max_epochs=1)
    sections = {
        'lr_config': runner.register_lr_hook,
        'momentum_config': runner.register_momentum_hook,
        'optimizer_config': runner.register_optimizer_hook,
        'checkpoint_config': runner.register_checkpoint_hook,
        'log_config': runner.register_logger_hooks,
    }
    for name, register in sections.items():
        written = copy.deepcopy(cfg[name])  # mmcv changes what it gets
        with build_problems(name, written, problems):
            register(cfg[name])
    for index, hook in enumerate(cfg['custom_hooks'] or []):
        written = copy.deepcopy(hook)
        with build_problems(f'custom_hooks[{index}]', written, problems):
            runner.register_custom_hooks(hook)


class _Nothing(nn.Module):
    """Replace the network of a runner that only builds hooks."""

    def train_step(self) -> None:
        """Exist, since mmcv wants it."""


def evaluation(parts: Preflight, problems: list[str]) -> None:
    """Check the evaluation hook, its keys, and its metrics."""
    section = parts.cfg.get('evaluation') or {}
    with build_problems('evaluation', section, problems):
        parts.hooks.evaluation()
    kind = type(parts.data.val)
    if kind.evaluate not in (
        CustomDataset.evaluate,
        CityscapesDataset.evaluate,
    ):
        return  # a data set with its own metrics
    valid = {
        *inspect.signature(EvalHook).parameters,
        *inspect.signature(DistEvalHook).parameters,
        *inspect.signature(kind.evaluate).parameters,
        *('pre_eval', 'efficient_test'),
    } - {'self', 'results', 'logger', 'dataloader', 'eval_kwargs', 'kwargs'}
    problems += unknown_keys('evaluation', section, valid)
    metrics = section.get('metric', 'mIoU')
    names = metrics if isinstance(metrics, list | tuple) else [metrics]
    known = (*METRICS, 'cityscapes')[: 3 + (kind is not CustomDataset)]
    problems += [
        f'evaluation.metric: {name!r} is not supported' + nearest(name, known)
        for name in names
        if name not in known
    ]
    if 'mIoU' not in names and set(names) <= set(known):
        problems.append(
            "evaluation.metric: wanted 'mIoU' among them, which is the "
            f'curve; got {metrics!r}'
        )


PLAIN_ON_CPU = ('MultiScaleDeformableAttention', 'FusedBiasLeakyReLU')
"""Classes of ``mmcv.ops`` that are plain PyTorch on a CPU."""


def check_ops(model: nn.Module, device: torch.device) -> list[str]:
    """Name each kind of part that needs a compiled op which is missing.

    A function of ``mmcv.ops`` that a module calls by itself is found when
    the preflight trains one iteration.
    """
    if not are_missing():
        return []
    on_cpu = device.type == 'cpu'
    places: dict[str, list[str]] = {}
    for place, module in model.named_modules():
        op = _op_of(module, on_cpu)
        if op:
            places.setdefault(op, []).append(place)
    return [
        f'model.{where[0]}'
        + (f' and {len(where) - 1} more' if where[1:] else '')
        + f': {op} needs the compiled ops of mmcv-full, {MEND}; or choose '
        'another part'
        for op, where in places.items()
    ]


def _op_of(module: nn.Module, on_cpu: bool) -> str:
    """Name the op that a module calls; empty: none that is compiled."""
    for kind in type(module).__mro__:
        if kind is FocalLoss and not on_cpu:
            return 'sigmoid_focal_loss'
        home = sys.modules.get(kind.__module__)
        if isinstance(getattr(home, 'ext_module', None), Placeholder):
            plain = on_cpu and kind.__name__ in PLAIN_ON_CPU
            return '' if plain else kind.__name__
    return ''
