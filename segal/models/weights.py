"""Load all pretrained weights of a backbone, or raise."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmcv.runner import CheckpointLoader
from torch import Tensor, nn

from segal.errors import StateError
from segal.openmmlab.loading import load_file

HEADS = re.compile(
    r'(^|\.)(fc|classifier|head|last_linear|norm_pre|aux)(\.|$)'
)
"""Classifiers of a pretrained network, which no backbone needs."""

CHECKPOINT = 'runner.checkpoint'
"""The key that names a backbone's first weights."""


def read_weights(
    source: str, key: str = CHECKPOINT, wanted: Collection[str] = ()
) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint, by name.

    The ``source`` is a path, a URL, or one of mmcv's ``open-mmlab://`` and
    ``torchvision://`` names. What is fetched is kept in torch's own cache
    (``$TORCH_HOME/hub/checkpoints``); a file put there serves machines without
    a network.

    Names have no ``module.``, ``backbone.`` (where all that belongs to a
    backbone has it) and the like; where all the ``wanted`` names are there,
    they are taken as they are (UNet has an ``encoder.`` of its own).

    Raises:
        StateError: There is no such file, it cannot be fetched, or it holds no
            weights.
    """
    try:
        content: Any = CheckpointLoader.load_checkpoint(
            source, map_location='cpu'
        )
    except StateError:
        raise
    except Exception as error:
        raise StateError(
            f'{source}: the pretrained weights cannot be read '
            f'({type(error).__name__}: {error}); without a network, put the '
            'file into $TORCH_HOME/hub/checkpoints, or name a local one in '
            f'{key}'
        ) from error
    if not isinstance(content, Mapping):
        content = {}
    inner = content.get('state_dict', content.get('model'))
    if isinstance(inner, Mapping):
        content = inner
    tensors = {x: one for x, one in content.items() if isinstance(one, Tensor)}
    if not tensors:
        raise StateError(
            f'{source}: wanted a checkpoint with weights, got none in it'
        )
    for prefix in ('module.', 'backbone.', 'encoder.'):
        if wanted and tensors.keys() >= set(wanted):
            break
        inside = {
            name.removeprefix(prefix): value
            for name, value in tensors.items()
            if name.startswith(prefix)
        }
        tensors = inside or tensors
    return tensors


def load_backbone(
    backbone: nn.Module,
    source: str,
    logger: logging.Logger,
    key: str = CHECKPOINT,
) -> None:
    """Load pretrained weights into a backbone that mmseg built.

    See :func:`read_weights` for ``source`` and ``key``.

    Raises:
        StateError: A weight of the backbone is missing in the file, or has
            another shape.
    """
    wanted = {
        name: value
        for name, value in backbone.state_dict().items()
        if not name.endswith('num_batches_tracked')
    }
    tensors = read_weights(source, key, wanted)
    shapes = [
        f'{name}: wanted {tuple(value.shape)}, got '
        f'{tuple(tensors[name].shape)}'
        for name, value in wanted.items()
        if name in tensors and tensors[name].shape != value.shape
    ]
    missing = [name for name in wanted if name not in tensors]
    if missing or shapes:
        listed = '\n    '.join(
            [*(f'{name}: missing' for name in missing[:5]), *shapes[:5]]
        )
        raise StateError(
            f'{source}: does not fit the backbone '
            f'{type(backbone).__name__}: {len(missing)} of {len(wanted)} '
            f'weights are missing, {len(shapes)} have another shape:\n    '
            f'{listed}\n  name weights of the same architecture in {key}'
            + ", or start with runner.pretrained='random'"
            * (key == CHECKPOINT)
        )
    backbone.load_state_dict(
        {name: tensors[name] for name in wanted}, strict=False
    )
    left = [
        name
        for name in tensors
        if name not in wanted
        and not HEADS.search(name)
        and not name.endswith('num_batches_tracked')
    ]
    logger.info(
        '%s: %d weights loaded into the %s%s',
        source,
        len(wanted),
        type(backbone).__name__,
        f', {len(left)} left over ({left[0]}, ...)' if left else '',
    )


def init_own_way(backbone: nn.Module, source: str) -> None:
    """Let a backbone that converts its weights itself (Swin, ViT) load them.

    Its ``init_cfg`` is of type ``Pretrained``.

    Raises:
        StateError: Some weights are as they were before.
    """
    before = {
        name: value.clone() for name, value in backbone.state_dict().items()
    }
    with torch.no_grad():
        backbone.init_weights()  # type: ignore[operator]
    same = [
        name
        for name, value in backbone.state_dict().items()
        if value.ndim > 1
        and value.is_floating_point()
        and value.numel() > 1
        and torch.equal(value, before[name])
        and bool(value.any())
    ]
    if same:
        raise StateError(
            f'{source}: does not fit the backbone {type(backbone).__name__}: '
            f'{len(same)} weights were not loaded, such as {same[0]}; name '
            'weights of the same architecture in runner.checkpoint, or start '
            "with runner.pretrained='random'"
        )


def last_checkpoint(work_dir: Path, round: int) -> Path:
    """Return the path of a round's last checkpoint."""
    return Path(work_dir) / f'round_{round:03d}' / 'final.pth'


def load_plain(path: Path, optimizer: bool = False) -> dict[str, Any]:
    """Read a checkpoint of SegAL: tensors and plain values only.

    Raises:
        StateError: It is missing or hurt.
    """
    content = load_file(path)
    wanted = ('meta', 'state_dict', *['optimizer'] * optimizer)
    if not isinstance(content, dict) or not set(wanted) <= content.keys():
        raise StateError(
            f'{path}: wanted a checkpoint of this experiment, with '
            f'{", ".join(wanted)}; got another file'
        )
    return content


def newest_whole(
    paths: Sequence[Path], logger: logging.Logger, optimizer: bool
) -> dict[str, Any] | None:
    """Read the first of some checkpoints that is readable, if any."""
    for path in paths:
        try:
            return load_plain(path, optimizer)
        except StateError as error:
            logger.warning('%s; the one before it is taken, if any', error)
    return None


_MOST_NAMED = 5


def network_tensors(content: Any, where: str) -> dict[str, Tensor]:
    """Read the weights of a checkpoint, without DDP's prefix of names.

    The ``content`` is that of a checkpoint that mmseg or SegAL wrote, or a
    bare ``state_dict``.

    Raises:
        StateError: There are none.
    """
    found = content
    if isinstance(content, Mapping) and 'state_dict' in content:
        found = content['state_dict']
    if isinstance(found, Mapping):
        tensors = {
            str(name).removeprefix('module.'): value
            for name, value in found.items()
            if isinstance(value, Tensor)
        }
        if tensors:
            return tensors
    raise StateError(
        f'{where}: wanted a checkpoint with weights, got none in it; '
        'name one that mmseg or SegAL wrote'
    )


def fill_network(
    model: nn.Module,
    tensors: Mapping[str, Tensor],
    where: str,
    spare: Sequence[str] = (),
) -> list[str]:
    """Load all weights, or none; return the names of those passed over.

    A second set that the EMA hook added is left out, and so are ``spare``
    parts that the network lacks, such as ``'auxiliary_head'``.

    Raises:
        StateError: A weight is missing, left over, or of another shape.
    """
    wanted = model.state_dict()
    beginnings = (
        'ema_',
        *(f'{part}.' for part in spare if not hasattr(model, part)),
    )
    over = [name for name in tensors if name not in wanted]
    problems = {
        'missing': [
            name
            for name in wanted
            if name not in tensors and not name.endswith('num_batches_tracked')
        ],
        'not of this network': [
            name for name in over if not name.startswith(beginnings)
        ],
        'of another shape': [
            f'{name} (wanted {tuple(value.shape)}, got '
            f'{tuple(tensors[name].shape)})'
            for name, value in wanted.items()
            if name in tensors and tensors[name].shape != value.shape
        ],
    }
    if any(problems.values()):
        listed = ''.join(
            f'\n    {len(names)} {kind}: '
            + ', '.join(names[:_MOST_NAMED])
            + ', ...' * (len(names) > _MOST_NAMED)
            for kind, names in problems.items()
            if names
        )
        raise StateError(
            f'{where}: does not fit the {type(model).__name__} of the '
            f'config; of its {len(wanted)} weights and buffers are{listed}\n'
            '  name the config that it was trained with'
        )
    model.load_state_dict(
        {name: tensors[name] for name in wanted if name in tensors},
        strict=False,  # all was looked at above
    )
    return over
