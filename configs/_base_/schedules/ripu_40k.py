# SGD, the classifier at ten times the rate; poly over 62,500 iterations, of
# which 40,000 are trained, in one schedule over all rounds.
optimizer = dict(
    type='SGD',
    lr=2.5e-4,
    momentum=0.9,
    weight_decay=5e-4,
    paramwise_cfg=dict(custom_keys=dict(decode_head=dict(lr_mult=10.0))),
)
optimizer_config = dict()
lr_config = dict(policy='PolyOver', length=62500, power=0.9, by_epoch=False)
workflow = [
    (('train', 10000), ('query', 1)),
    (('train', 2000), ('query', 1)),
    (('train', 2000), ('query', 1)),
    (('train', 2000), ('query', 1)),
    (('train', 2000), ('query', 1)),
    (('train', 22000),),
]
evaluation = dict(interval=2000, metric='mIoU')
