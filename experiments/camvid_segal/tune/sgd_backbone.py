# The same, and the backbone learns at the rate of the head.
_base_ = './sgd.py'
optimizer = dict(
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=1.0)))
)
