# Milder, with SGD in place of Adam.
_base_ = './milder.py'
optimizer = dict(
    _delete_=True,
    type='SGD',
    lr=0.02,
    momentum=0.9,
    weight_decay=5e-4,
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))),
)
