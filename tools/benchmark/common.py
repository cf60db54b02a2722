"""Make the network and the images of the benchmarks."""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import mmcv
import numpy as np
import torch
from torch import nn

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

import segal.datasets
import segal.models  # noqa: F401  (fills mmseg's registries)
from segal import compat
from segal.config import load_config

compat.apply()


def reference_network() -> nn.Module:
    """Build the CamVid experiment's MobileNetV2-DeepLabV3+, random weights."""
    from mmseg.models import build_segmentor

    cfg = load_config(str(ROOT / 'experiments/camvid_pixelpick/margin.py'))
    model = copy.deepcopy(cfg.model)
    model.pretrained = None
    model.backbone.init_cfg = None
    torch.manual_seed(0)
    return build_segmentor(model).eval()


def write_images(root: Path, count: int, size: tuple[int, int]) -> None:
    """Write smooth random images and label maps."""
    rng = np.random.default_rng(0)
    for i in range(count):
        coarse = rng.integers(0, 255, (9, 12, 3)).astype(np.uint8)
        image = mmcv.imresize(coarse, size[::-1])
        labels = mmcv.imresize(
            rng.integers(0, 11, (9, 12)).astype(np.uint8),
            size[::-1],
            interpolation='nearest',
        )
        mmcv.imwrite(image, str(root / 'images' / f'{i:04d}.jpg'))
        mmcv.imwrite(labels, str(root / 'annotations' / f'{i:04d}.png'))
