# The recipe, with the backbone at the rate of the head.
_base_ = './recipe.py'
optimizer = dict(
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=1.0)))
)
