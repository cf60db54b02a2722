# The first thing to run: 48 street scenes that SegAL draws itself, a small
# network from scratch, 10 pixels per image and round. CPU, under two minutes.
_base_ = '../../configs/_base_/small.py'

size = (96, 128)  # (height, width)
img_norm_cfg = dict(mean=[127.5] * 3, std=[60.0] * 3, to_rgb=True)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(
        type='LabelKeepingResize',
        img_scale=size[::-1],
        ratio_range=(0.9, 1.4),
    ),
    dict(type='Pad', size=size, pad_val=127, seg_pad_val=255),
    dict(type='RandomCrop', crop_size=size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_semantic_seg']),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug',
        img_scale=size[::-1],
        flip=False,
        transforms=[
            dict(type='Normalize', **img_norm_cfg),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img']),
        ],
    ),
]
pool = dict(
    type='SyntheticScenesDataset',
    part='train',
    data_root='data/synthetic_scenes',
)
val = dict(
    type='SyntheticScenesDataset',
    part='val',
    data_root='data/synthetic_scenes',
    pipeline=test_pipeline,
)
data = dict(
    samples_per_gpu=8,
    workers_per_gpu=1,
    train=dict(pipeline=train_pipeline, **pool),
    query=dict(pipeline=test_pipeline, **pool),
    val=val,
    test=val,
)

evaluation = dict(interval=30, metric='mIoU')

active_learning = dict(
    settings=dict(
        pixel=dict(
            sample_threshold=5,
            query_size=10,
            initial_label_pixels=10,
            sample_evenly=True,
        )
    ),
)
runner = dict(sample_mode='pixel', sample_rounds=4)
workflow = [('train', 30), ('query', 1)]
