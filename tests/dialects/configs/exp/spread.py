"""Entropy that is to spread out, without labels of the pool at first."""

_base_ = './winter.py'
active_learning = dict(
    settings=dict(pixel=dict(initial_label_pixels=0)),
    heuristic='sparsity',
    heuristic_cfg=dict(_delete_=True, inflection=0.2),
)
