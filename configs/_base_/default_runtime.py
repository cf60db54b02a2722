log_config = dict(interval=20, hooks=[dict(type='TextLoggerHook')])
log_level = 'INFO'
cudnn_benchmark = True
checkpoint_config = dict(interval=10, max_keep_ckpts=1)
