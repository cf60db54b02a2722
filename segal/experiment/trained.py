"""Load a trained network from its config and checkpoint."""

from __future__ import annotations

import hashlib
import json
import os.path as osp
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import mmcv
import numpy as np
import torch
from mmcv import Config
from mmcv.cnn.utils import revert_sync_batchnorm
from mmseg.datasets import DATASETS
from mmseg.models import build_segmentor
from torch import nn

from segal.config.network import sync_bn_on_cpu
from segal.errors import ConfigError
from segal.model_wrapper import ModelWrapper
from segal.models.weights import fill_network, network_tensors
from segal.openmmlab.built import building
from segal.openmmlab.loading import load_file
from segal.openmmlab.pipelines import clean_query, drop_masks, entries

_FORMATS = (
    'Collect',
    'DefaultFormatBundle',
    'ImageToTensor',
    'LoadAnnotations',
    'ToTensor',
)
"""Steps of a pipeline that change no pixel of an image."""

_SETS = ('query', 'test', 'val', 'train')


@dataclass(frozen=True)
class Trained:
    """A network with its weights and the names of its classes.

    Attributes:
        wrapper: The network, on its device.
        classes: Names of the C classes.
        palette: (C, 3), RGB, each 0 to 255; None where nobody gives one.
        sha256: Of the checkpoint.
    """

    wrapper: ModelWrapper
    classes: tuple[str, ...]
    palette: list[list[int]] | None
    sha256: str


def load_trained(
    cfg: Config, checkpoint: Path, device: torch.device
) -> Trained:
    """Build the network of a config, and fill it from a checkpoint.

    Args:
        cfg: As loaded; of it ``model`` counts, and what the data sections
            say of classes. Nothing of ``data`` has to exist.
        checkpoint: Any that mmseg wrote, or a bare ``state_dict``.
        device: Device of the network.

    Raises:
        ConfigError: The network cannot be built.
        StateError: The checkpoint cannot be read, or does not fit.
    """
    content = load_file(checkpoint)
    model = build_plain(cfg, device)
    fill_network(
        model, network_tensors(content, str(checkpoint)), str(checkpoint)
    )
    classes, palette = name_classes(cfg, meta_in(content), class_count(model))
    with open(checkpoint, 'rb') as file:
        digest = hashlib.file_digest(file, 'sha256').hexdigest()
    model.to(device).eval()
    return Trained(ModelWrapper(model, device), classes, palette, digest)


def build_plain(cfg: Config, device: torch.device) -> nn.Module:
    """Build the network of a config, without weights.

    Args:
        cfg: As loaded; its ``model`` counts, and is changed in place.
        device: Later device of the network, which is built on the CPU.

    Raises:
        ConfigError: It cannot be built.
    """
    section = cfg.get('model')
    if not isinstance(section, Mapping):
        raise ConfigError(
            f'model: required, a network of mmseg; got {section!r}'
        )
    if 'pretrained' in section:
        section['pretrained'] = None  # type: ignore[index]
    on_gpu = device.type == 'cuda'
    if not on_gpu:
        sync_bn_on_cpu(cfg)
    with building('model', section):
        model = build_segmentor(
            section,
            train_cfg=cfg.get('train_cfg'),
            test_cfg=cfg.get('test_cfg'),
        )
    return model if on_gpu else revert_sync_batchnorm(model)


def class_count(model: nn.Module) -> int:
    """Count the classes of an mmseg segmentor, 2 or more."""
    return max(2, int(getattr(model, 'num_classes', 0)))


def meta_in(content: Any) -> Mapping[str, Any]:
    """Read the meta of a checkpoint; empty where it has none."""
    meta = content.get('meta') if isinstance(content, Mapping) else None
    return meta if isinstance(meta, Mapping) else {}


def name_classes(
    cfg: Config, meta: Mapping[str, Any], count: int
) -> tuple[tuple[str, ...], list[list[int]] | None]:
    """Read the names and colours of the classes.

    Args:
        cfg: As loaded.
        meta: Of the checkpoint.
        count: How many classes the network tells apart; names of another
            number are passed over.

    Returns:
        Those of the checkpoint, else of the config's data sets, else
        ``class_0`` and so on; and the palette that goes with them.
    """
    sources = [(meta.get('CLASSES'), meta.get('PALETTE'))]
    for entry in _data_sets(cfg):
        kind: Any = entry.get('type')
        if isinstance(kind, str):
            kind = DATASETS.get(kind)
        classes = entry.get('classes') or getattr(kind, 'CLASSES', None)
        palette = entry.get('palette')
        if palette is None and not entry.get('classes'):
            palette = getattr(kind, 'PALETTE', None)
        sources.append((classes, palette))
    for classes, palette in sources:
        if isinstance(classes, str) and osp.isfile(classes):
            classes = mmcv.list_from_file(classes)
        if isinstance(classes, (list, tuple)) and len(classes) == count:
            return tuple(map(str, classes)), _colours(palette, count)
    return tuple(f'class_{i}' for i in range(count)), None


def test_pipeline_of(cfg: Config) -> tuple[Any, list[str]]:
    """Read how a config shows images to its network outside training.

    Returns:
        The pipeline of the first of ``data.query``, ``data.test`` and
        ``data.val`` that has one, else ``test_pipeline``, without ground
        truth; None where there is none. And notes on what was translated.
    """
    pipelines = (entry.get('pipeline') for entry in _data_sets(cfg, _SETS[:3]))
    found = next((one for one in pipelines if one is not None), None)
    found = found or cfg.get('test_pipeline')
    if not found:
        return None, []
    alone = Config(dict(data=dict(query=dict(pipeline=found))))
    notes = drop_masks(alone) + clean_query(alone)
    return alone.data.query.pipeline, notes


def differing_step(one: Config, other: Config) -> tuple[Any, ...] | None:
    """Find the first step by which two configs show an image differently.

    Args:
        one: As loaded, with a pipeline that :func:`test_pipeline_of` finds.
        other: The same.

    Returns:
        The step of each, None for one that has none there; None where the
        networks see the same.
    """
    steps = (_pixel_steps(test_pipeline_of(cfg)[0]) for cfg in (one, other))
    pairs = zip_longest(*steps)
    return next((pair for pair in pairs if pair[0] != pair[1]), None)


def _pixel_steps(pipeline: Any) -> list[dict[str, Any]]:
    """List the steps of a test pipeline that decide what a network sees."""
    steps = []
    for step in entries(pipeline):
        plain = json.loads(json.dumps(step, default=str))
        inner = plain.pop('transforms', None)
        if not isinstance(plain, Mapping) or plain.get('type') in _FORMATS:
            continue
        steps.append(dict(plain))
        steps += _pixel_steps(inner)
    return steps


def _data_sets(
    cfg: Config, names: Sequence[str] = _SETS
) -> Iterator[Mapping[str, Any]]:
    """List the data sets of a config; inner ones in place of wrappers."""
    data = cfg.get('data')
    for name in names if isinstance(data, Mapping) else ():
        for entry in entries(data.get(name)):
            while isinstance(entry, Mapping) and 'dataset' in entry:
                entry = entry['dataset']
            if isinstance(entry, Mapping):
                yield entry


def _colours(palette: Any, count: int) -> list[list[int]] | None:
    """Read a palette as plain numbers; None where it is none."""
    try:
        colours = np.asarray(palette, int)
    except (TypeError, ValueError):
        return None
    if colours.shape != (count, 3):
        return None
    return colours.clip(0, 255).tolist()
