"""Small extractors with weights, and parts that read what they say."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch

from segal.active.heuristics import BaseHeuristic
from segal.active.selectors.over_pool import BestOverPool
from segal.features import FrozenExtractor
from segal.registry import FEATURES, HEURISTICS, SELECTORS
from segal.structures import WHOLE_IMAGE

RESNET = dict(type='ResNet', depth=18, base_channels=4, stem_channels=4)
LOGGER = logging.getLogger('tests.features')
CPU = torch.device('cpu')

SIMSIAM = """
model = dict(
    type='SimSiam',
    backbone=dict(type='ResNet', depth=18, in_channels=3, base_channels=4,
                  stem_channels=4, out_indices=[4],
                  norm_cfg=dict(type='SyncBN')))
data = dict(train=dict(pipelines=[[
    dict(type='ToTensor'),
    dict(type='Normalize', mean=[0.4, 0.5, 0.6], std=[0.2, 0.3, 0.4])]]))
"""


def write_weights(extractor: FrozenExtractor, seed: int = 0) -> None:
    """Random weights where an extractor expects its own."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = extractor.open(CPU, LOGGER, weights=False).backbone
        state = {
            name: torch.rand(value.shape) + 0.5
            if name.endswith('running_var')
            else torch.randn(value.shape) / 4
            if value.is_floating_point()
            else value
            for name, value in network.state_dict().items()
        }
    torch.save(dict(state_dict=state), extractor.checkpoint)


def backbone(folder: Path, seed: int = 0, **options) -> FrozenExtractor:
    """A small network of mmcls, with weights."""
    part = dict(
        type='Backbone',
        backbone=RESNET,
        checkpoint=str(folder / f'resnet_{seed}.pth'),
        **options,
    )
    return filled(part, seed)


def simsiam(folder: Path, seed: int = 0, **options) -> FrozenExtractor:
    """A small network of MMSelfSup, with weights."""
    config = folder / 'simsiam.py'
    config.write_text(SIMSIAM)
    part = dict(
        type='MMSelfSup',
        config=str(config),
        checkpoint=str(folder / f'simsiam_{seed}.pth'),
        **options,
    )
    return filled(part, seed)


def filled(part: dict, seed: int = 0) -> FrozenExtractor:
    """An extractor, and weights where it looks for them."""
    extractor = FEATURES.build(part)
    if not Path(extractor.checkpoint).exists():
        write_weights(extractor, seed)
    return extractor


FROZEN = dict(Backbone=backbone, MMSelfSup=simsiam)
"""Registered name -> what makes a small one in a folder."""


class Seen:
    """Which predictions a part was given, by name."""

    of: dict[str, dict[str, torch.Tensor]] = {}


@HEURISTICS.register_module()
class NormOfEmbedding(BaseHeuristic):
    """Scores an image by its embedding alone."""

    needs = ('embedding',)

    def score(self, prediction):
        Seen.of[prediction.name] = dict(embedding=prediction.embedding)
        value = prediction.embedding.norm()
        return value.expand(prediction.size).clone()


@HEURISTICS.register_module()
class NormOfFeatures(BaseHeuristic):
    """Scores each pixel by the features that lie there."""

    needs = ('features',)

    def score(self, prediction):
        Seen.of[prediction.name] = dict(features=prediction.features)
        height, width = prediction.size
        norms = prediction.features.norm(dim=0)  # (h, w)
        return torch.nn.functional.interpolate(
            norms[None, None], size=(height, width), mode='nearest'
        )[0, 0]


@SELECTORS.register_module()
class SmallestEmbedding(BestOverPool):
    """Whole images, those nearest to nothing first."""

    unit = 'image'
    needs = ('embedding',)

    def spendable(self):
        return min(self.budget.amount, int(np.count_nonzero(self.free)))

    def shortlist(self, image, score, available, prediction=None):
        position, places, _ = self.enter(image, score, available)
        if len(places):
            value = -float(prediction.embedding.norm())
            self.offer(
                position,
                np.array([WHOLE_IMAGE]),
                np.array([value], np.float32),
            )
