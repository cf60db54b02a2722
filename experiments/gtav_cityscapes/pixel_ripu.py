# RIPU's pixels (PA) from GTAV to Cityscapes: 10,000 iterations on GTAV alone,
# then 8 pixels of each target image five times, 40 in all.
_base_ = [
    '../../configs/_base_/models/deeplabv2_resnet101.py',
    '../../configs/_base_/datasets/gtav_to_cityscapes.py',
    '../../configs/_base_/schedules/ripu_40k.py',
    '../../configs/_base_/default_runtime.py',
]
active_learning = dict(
    settings=dict(
        pixel=dict(query_size=8, initial_label_pixels=0, sample_evenly=True)
    ),
    sources=dict(per_batch=2, loss_weight=1.0),
    heuristic=dict(type='RIPU', k=32),
    selector=dict(type='PixelsSpread', distance=33),
    reset=dict(weights=False, optimizer=False, schedule=False),
    visualize=dict(size=10, overlay=True, dir='viz'),
)
runner = dict(
    type='ActiveLearningRunner',
    sample_mode='pixel',
    by_epoch=False,
    pretrained='supervised',
)
checkpoint_config = dict(interval=2000, max_keep_ckpts=1)
