optimizer = dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=0.0005)
optimizer_config = dict()
lr_config = dict(policy='poly', power=0.9, min_lr=1e-4, by_epoch=False)
checkpoint_config = dict(by_epoch=False, interval=10)
log_config = dict(
    interval=10, hooks=[dict(type='TextLoggerHook', by_epoch=False)]
)
log_level = 'INFO'
load_from = None
resume_from = None
total_itrs = 40
