# Adam, the backbone at a tenth; 50 epochs a round in three steps.
optimizer = dict(
    type='Adam',
    lr=5e-4,
    weight_decay=2e-4,
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))),
)
optimizer_config = dict()
lr_config = dict(policy='step', step=[21, 41], gamma=0.1, by_epoch=True)
# The last epoch counts; the best one is reported beside it.
evaluation = dict(interval=1, metric='mIoU', save_best='mIoU')
