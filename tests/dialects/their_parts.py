"""Parts of a user's own, under names that SegAL has as well."""

from mmcv.runner import HOOKS, Hook
from mmcv.runner.builder import RUNNERS
from mmseg.datasets import CityscapesDataset, CustomDataset
from mmseg.datasets.builder import DATASETS, PIPELINES
from mmseg.models.builder import HEADS
from torch import nn

from segal.active.heuristics import BaseHeuristic
from segal.registry import HEURISTICS


@DATASETS.register_module()
class GTAVDataset(CustomDataset):
    CLASSES = CityscapesDataset.CLASSES
    PALETTE = CityscapesDataset.PALETTE

    def __init__(self, **kwargs):
        super().__init__(
            img_suffix='.png', seg_map_suffix='_cityscapes.png', **kwargs
        )


@DATASETS.register_module()
class CamVidDataset(CustomDataset):
    CLASSES = CityscapesDataset.CLASSES
    PALETTE = CityscapesDataset.PALETTE

    def __init__(self, **kwargs):
        super().__init__(img_suffix='.png', seg_map_suffix='.png', **kwargs)


@PIPELINES.register_module()
class RandomGrayscale:
    def __call__(self, results):
        return results


@HEADS.register_module()
class DeepLabV2Head(nn.Module):
    pass


@HOOKS.register_module()
class WandbLoggerHookWithVal(Hook):
    pass


@RUNNERS.register_module()
class RoundEpochRunner:
    pass


@HEURISTICS.register_module(name='margin')
class TheirMargin(BaseHeuristic):
    def score(self, prediction):
        return prediction.probs.amin(0)


@HEURISTICS.register_module()
class Margin(TheirMargin):
    pass
