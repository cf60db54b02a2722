"""Settle a config's ``model`` section for training on few labels."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

import torch
from mmcv import Config
from mmseg.datasets.builder import PIPELINES

from segal.active.units import unit_named
from segal.config.parts import parameters
from segal.config.shapes import data_sets, dicts_in, find
from segal.openmmlab.pipelines import walk

_HEAD = re.compile(
    r'model\.(decode|auxiliary)_head(\.\d+)?(\.kernel_generate_head)?'
)


def heads(cfg: Config) -> list[tuple[str, Any]]:
    """List the heads of the model, that inside K-Net too, by dotted path."""
    return [
        (where, part)
        for where, part in dicts_in(cfg.get('model'), 'model')
        if _HEAD.fullmatch(where)
    ]


def _registered(part: Mapping[str, Any]) -> type | None:
    from mmseg.models.builder import MODELS

    kind = part.get('type')
    if inspect.isclass(kind):
        return kind
    return MODELS.get(kind) if isinstance(kind, str) else None


def _default(cls: type, name: str) -> Any:
    """Find the default of a constructor's argument, inherited or own."""
    found = parameters(cls).get(name)
    return None if found is None else found.default


def average_over_labels(cfg: Config) -> tuple[list[str], list[str]]:
    """Set every loss to average over labelled pixels alone, in place.

    mmseg's cross-entropy divides by all pixels, labelled or not: with ten
    labels in 360x480 the loss is 17,000 times too small.

    Returns:
        Problems and notes.
    """
    problems, changed = [], []
    for _, head in heads(cfg):
        cls = _registered(head)
        # a head that assembles others (KNet) has no loss of its own
        if cls is None or 'kernel_generate_head' in head:
            continue
        default = _default(cls, 'loss_decode')
        if 'loss_decode' not in head and isinstance(default, Mapping):
            head['loss_decode'] = type(head)(default)
    for where, part in dicts_in(cfg.get('model'), 'model'):
        cls = _registered(part)
        if cls is None or 'avg_non_ignore' not in (
            inspect.signature(cls).parameters
        ):
            continue
        given = part.get('avg_non_ignore')
        if given is None:
            part['avg_non_ignore'] = True
            changed.append(where)
        elif given is not True:
            problems.append(
                f'{where}.avg_non_ignore: wanted True, or the key left out; '
                f'got {given!r}, which divides the loss of a few labels by '
                'the number of all pixels'
            )
    if not changed:
        return problems, []
    return problems, [
        'avg_non_ignore=True (the loss is the mean over labelled pixels) is '
        f'set on {", ".join(changed)}'
    ]


_COUNT_LABELS = ('DiceLoss', 'FocalLoss', 'LovaszLoss', 'TverskyLoss')
_LEARN_LABELS = ('PointHead', 'STDCHead')


def labels_alone(cfg: Config) -> list[str]:
    """List the parts of a model that differ from mmseg's for few labels."""
    found = [
        f'{part["type"]} of {where}'
        for where, part in dicts_in(cfg.get('model'), 'model')
        if part.get('type') in (*_COUNT_LABELS, *_LEARN_LABELS)
    ]
    if not found:
        return []
    return [
        'labelled pixels alone count, other than with mmseg, for '
        + ', '.join(found)
    ]


def sync_bn_on_cpu(cfg: Config) -> list[str]:
    """Write BN for SyncBN where there is no CUDA, in place."""
    if torch.cuda.is_available():
        return []
    count = 0
    for _, part in dicts_in(cfg.get('model'), 'model'):
        if part.get('type') in ('SyncBN', 'MMSyncBN'):
            part['type'] = 'BN'
            count += 1
    if not count:
        return []
    return [
        f'SyncBN is written as BN in {count} places of the model, since '
        'CUDA is not available'
    ]


def _is_pretrained(init: Any) -> bool:
    return isinstance(init, Mapping) and init.get('type') == 'Pretrained'


def _named_weights(cfg: Config) -> list[str]:
    """List the dotted paths of backbone weights in the model."""
    named = ('model.pretrained', 'model.backbone.pretrained')
    found = [where for where in named if find(cfg, where)[1]]
    init = find(cfg, 'model.backbone.init_cfg')[1]
    parts = init if isinstance(init, (list, tuple)) else [init]
    if any(map(_is_pretrained, parts)):
        found.append('model.backbone.init_cfg')
    return found


def _forget_weights(cfg: Config) -> list[str]:
    """Remove the weights that a model names, in place."""
    found = _named_weights(cfg)
    for where in found:
        section = cfg.model.backbone if '.backbone.' in where else cfg.model
        name = where.rsplit('.', 1)[1]
        value = section[name]
        if isinstance(value, (list, tuple)):
            value = [part for part in value if not _is_pretrained(part)]
            section[name] = value or None
        else:
            section[name] = None
    return found


def settle_weights(
    cfg: Config, pretrained: str, checkpoint: str | None, explicit: bool
) -> tuple[list[str], list[str]]:
    """Settle on one source of the first weights.

    Args:
        cfg: Changed in place.
        pretrained: ``runner.pretrained``.
        checkpoint: ``runner.checkpoint``.
        explicit: Whether the config itself wrote ``pretrained``.

    Returns:
        Problems and notes.
    """
    whole, rival = cfg.get('load_from'), ''
    if whole:
        rival = 'load_from, whose weights fill the whole network'
    elif pretrained == 'random':
        rival = "pretrained='random'"
    if rival and checkpoint is not None:
        return [
            f'runner.checkpoint: not together with {rival}; got '
            f'{checkpoint!r}. Leave one of the two out'
        ], []
    if whole:
        return [], [
            f'{where}: not read, load_from counts'
            for where in _named_weights(cfg)
        ]
    if rival or checkpoint is not None:
        why = rival or 'runner.checkpoint counts'
        return [], [
            f'{where}: dropped, {why}' for where in _forget_weights(cfg)
        ]
    if pretrained == 'self-supervised':
        return [
            "runner.checkpoint: required with pretrained='self-supervised'; "
            'got nothing. Write the path or URL of the backbone weights'
        ], []
    if _named_weights(cfg):
        return [], []
    if explicit:
        return [
            "runner.pretrained: 'supervised', but the model names no weights. "
            "Write runner.checkpoint, or pretrained='random'"
        ], []
    return [], [
        'runner.pretrained: the model names no weights, so training starts '
        'from random ones'
    ]


def check_ignore_index(cfg: Config, ignore_index: int) -> list[str]:
    """Check that all parts ignore the same class id."""
    wrong = []
    for where, head in heads(cfg):
        wrong.append((f'{where}.ignore_index', head.get('ignore_index', 255)))
    for where, entry in data_sets(cfg, 'train', 'val'):
        if not isinstance(entry, Mapping):
            continue
        wrong.append((f'{where}.ignore_index', entry.get('ignore_index', 255)))
        for step in walk(entry.get('pipeline')):
            kind = step.get('type')
            cls = PIPELINES.get(kind) if isinstance(kind, str) else None
            default = _default(cls, 'ignore_index') if cls else None
            if isinstance(default, int):
                key = f'{where}.pipeline {kind}.ignore_index'
                wrong.append((key, step.get('ignore_index', default)))
    return [
        f'{key}: wanted {ignore_index}, the ignore_index of '
        f'active_learning.settings; got {got}'
        for key, got in dict.fromkeys(wrong)
        if got != ignore_index
    ]


def check_encodings(cfg: Config, unit: str | None) -> list[str]:
    """Refuse heads that learn which classes an image lacks.

    For EncNet's semantic encoding loss, a class without a labelled pixel
    counts as absent.
    """
    if unit is None or unit_named(unit).whole:
        return []
    problems = []
    for where, head in heads(cfg):
        cls = _registered(head)
        if cls is None or not any(
            base.__name__ == 'EncHead' for base in cls.__mro__
        ):
            continue
        if head.get('use_se_loss', True):
            problems.append(
                f'{where}.use_se_loss: wanted False with sample_mode='
                f'{unit!r}; got {head.get("use_se_loss", "nothing, that is")}'
                f'{"" if "use_se_loss" in head else " True"}, which teaches '
                'that an image lacks each class of which no pixel was bought'
            )
    return problems


def check_classes(cfg: Config, classes: int) -> list[str]:
    """Check that the heads have the classes of the data set."""
    if classes == 1:
        return [
            'data.train.classes: wanted two classes or more, got one, which '
            'every labelled pixel would be: nothing is learned, and mIoU is '
            '100 %. List what is not of the class as a class, too, such as '
            "classes=('background', ...), with ids 0 and 1 in the "
            'annotations, and set num_classes=2'
        ]
    allowed = {classes, 1} if classes == 2 else {classes}
    problems = []
    for where, head in heads(cfg):
        for inner, part in dicts_in(head, where):
            got = part.get('num_classes')
            if part.get('type') == 'STDCHead':
                continue  # its two classes are border and no border
            if isinstance(got, int) and got not in allowed:
                problems.append(
                    f'{inner}.num_classes: wanted {classes}, the classes of '
                    f'the data set; got {got}'
                )
    return list(dict.fromkeys(problems))
