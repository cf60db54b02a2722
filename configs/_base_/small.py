# The network and training of the quickstart, for data of one's own.
_base_ = ['models/small_fpn.py', 'default_runtime.py']
optimizer = dict(type='Adam', lr=3e-3)
optimizer_config = dict()
lr_config = dict(policy='poly', power=0.9, min_lr=0, by_epoch=False)
# A step of this network takes about 0.8 of the time so, on a CPU.
speed = dict(channels_last=True, fused=True)
active_learning = dict(
    visualize=dict(size=6, overlay=True, dir='viz'),
    heuristic='margin',
    reset_each_round=True,
)
runner = dict(
    type='ActiveLearningRunner',
    sample_mode='pixel',
    pretrained='random',
)
