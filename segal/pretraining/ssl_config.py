"""Translate a config of SegAL to one of MMSelfSup, on the same images."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from mmcv import Config
from mmcv.cnn.utils import revert_sync_batchnorm
from mmseg.models.builder import MODELS

from segal.errors import ConfigError
from segal.openmmlab.built import building
from segal.openmmlab.pipelines import walk

Algorithm = Literal['simsiam', 'byol']

WIDEST = 2048
"""Width of SimSiam's projector in the paper; narrow backbones get less."""

_BN = dict(type='BN1d')


def backbone_of(cfg: Config) -> dict[str, Any]:
    """Translate the config's backbone for MMSelfSup's registry."""
    model = cfg.get('model')
    section = model.get('backbone') if isinstance(model, Mapping) else None
    if not isinstance(section, Mapping) or 'type' not in section:
        raise ConfigError(
            f'model.backbone: required, a backbone of mmseg; got {section!r}'
        )
    backbone = copy.deepcopy(dict(section))
    backbone.pop('init_cfg', None)
    backbone.pop('pretrained', None)
    if backbone['type'] in MODELS.module_dict:
        backbone['type'] = f'mmseg.{backbone["type"]}'
    return backbone


def channels_of(backbone: Mapping[str, Any]) -> int:
    """Count the channels of the last map."""
    with building('model.backbone', backbone), torch.no_grad():
        network = revert_sync_batchnorm(MODELS.build(dict(backbone)))
        network.eval()  # mmseg's backbones return None
        maps = network(torch.zeros(1, 3, 64, 64))
    last = maps[-1] if isinstance(maps, (list, tuple)) else maps
    if last.ndim != 4:
        raise ConfigError(
            'model.backbone: wanted one whose last output is a map (B, F, h, '
            f'w), got {tuple(last.shape)} from {backbone["type"]}'
        )
    return int(last.shape[1])


def algorithm(
    name: Algorithm, backbone: Mapping[str, Any], channels: int
) -> dict[str, Any]:
    """Configure an algorithm of MMSelfSup around a backbone.

    Widths are four times the ``channels`` of its last map, as in the papers
    for a ResNet-50, or less.

    Source: Chen and He, Exploring Simple Siamese Representation Learning, CVPR
    2021; Grill et al., Bootstrap Your Own Latent, NeurIPS 2020.
    """
    wide = min(WIDEST, 4 * channels)
    out = wide if name == 'simsiam' else max(2, wide // 8)
    hidden = max(2, wide // 4) if name == 'simsiam' else wide
    neck = dict(
        type='LastMapNeck',
        in_channels=channels,
        hid_channels=wide,
        out_channels=out,
        with_avg_pool=True,
        norm_cfg=_BN,
    )
    predictor = dict(
        type='NonLinearNeck',
        in_channels=out,
        hid_channels=hidden,
        out_channels=out,
        with_avg_pool=False,
        with_last_bn=False,
        norm_cfg=_BN,
    )
    if name == 'simsiam':
        neck.update(num_layers=3, with_last_bn_affine=False)
        predictor.update(with_last_bias=True)
    else:
        neck.update(num_layers=2, with_bias=True, with_last_bn=False)
        predictor.update(num_layers=2, with_bias=True)
    return dict(
        type='SimSiam' if name == 'simsiam' else 'BYOL',
        backbone=dict(backbone),
        neck=neck,
        head=dict(type='LatentPredictHead', predictor=predictor),
        **(dict(base_momentum=0.99) if name == 'byol' else {}),
    )


def views(files: Sequence[str], size: int, cfg: Config) -> dict[str, Any]:
    """Configure two square views of each image, of ``size`` pixels.

    Made by MMSelfSup's own transforms, with the Normalize of the query
    pipeline.

    Raises:
        ConfigError: The pipeline takes colours as BGR.
    """
    jitter = dict(
        type='ColorJitter',
        brightness=0.4,
        contrast=0.4,
        saturation=0.4,
        hue=0.1,
    )
    pipeline = [
        dict(type='RandomResizedCrop', size=size, scale=(0.2, 1.0)),
        dict(type='RandomAppliedTrans', transforms=[jitter], p=0.8),
        dict(type='RandomGrayscale', p=0.2),
        dict(type='GaussianBlur', sigma_min=0.1, sigma_max=2.0, p=0.5),
        dict(type='RandomHorizontalFlip'),
        dict(type='ToTensor'),
        dict(type='Normalize', **_normalize(cfg)),
    ]
    return dict(
        type='MultiViewDataset',
        data_source=dict(type='ImageFiles', files=list(files)),
        num_views=[2],
        pipelines=[pipeline],
    )


def _normalize(cfg: Config) -> dict[str, list[float]]:
    """Read mean and std of the query pipeline, of colours from 0 to 1."""
    steps = [
        step
        for step in walk(cfg.data.query.pipeline)
        if step.get('type') == 'Normalize'
    ]
    step = steps[0] if steps else dict(mean=[0.0] * 3, std=[1.0] * 3)
    if not step.get('to_rgb', True):
        raise ConfigError(
            'data.query.pipeline.Normalize.to_rgb: wanted True, got False; '
            'MMSelfSup reads images as RGB'
        )
    return {
        name: [float(number) / 255 for number in step[name]]
        for name in ('mean', 'std')
    }
