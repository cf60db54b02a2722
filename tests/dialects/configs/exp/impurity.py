"""RIPU without the uncertainty."""

_base_ = './winter.py'
active_learning = dict(heuristic_cfg=dict(use_entropy=False))
