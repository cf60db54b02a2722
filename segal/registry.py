"""The registries of SegAL, beside those of MMCV and mmseg."""

from mmcv.utils import Registry

HEURISTICS = Registry('heuristic')
SELECTORS = Registry('selector')
ORACLES = Registry('oracle')
FEATURES = Registry('features')
REGIONS = Registry('region shape')
