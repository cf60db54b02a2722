# Reduced for CPU: 120x160 copy, 100 pool images, 4 rounds of 10 epochs.
# Its numbers are not those of the full experiment.
_base_ = '../camvid/pixel_margin.py'
size = (120, 160)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='Resize', img_scale=(160, 120), ratio_range=(0.5, 2.0)),
    dict(type='Pad', size=size, pad_val=0, seg_pad_val=255),
    dict(type='RandomCrop', crop_size=size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='Normalize', mean=[127.5] * 3, std=[127.5] * 3, to_rgb=True),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_semantic_seg']),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug',
        img_scale=(160, 120),
        flip=False,
        transforms=[
            dict(
                type='Normalize',
                mean=[127.5] * 3,
                std=[127.5] * 3,
                to_rgb=True,
            ),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img']),
        ],
    ),
]
reduced = dict(data_root='data/camvid_120x160')
data = dict(
    workers_per_gpu=1,
    train=dict(pipeline=train_pipeline, **reduced),
    query=dict(pipeline=test_pipeline, **reduced),
    val=dict(pipeline=test_pipeline, **reduced),
    test=dict(pipeline=test_pipeline, **reduced),
)
lr_config = dict(policy='step', step=[6, 9], gamma=0.1, by_epoch=True)
evaluation = dict(interval=10, metric='mIoU')
checkpoint_config = dict(interval=10)
workflow = [('train', 10), ('query', 1)]
runner = dict(sample_rounds=4)
