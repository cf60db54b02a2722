# Reduced for CPU: ../../camvid_pixelpick/margin.py on a 90x120 copy with 60
# pool images, 2 rounds of 10 epochs, evaluated on the 101 validation images,
# by which options are chosen. Steps and blur are scaled.
_base_ = '../../camvid_pixelpick/margin.py'
size = (90, 120)  # (height, width)
img_norm_cfg = dict(mean=[127.5] * 3, std=[127.5] * 3, to_rgb=True)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='Resize', img_scale=(120, 90), ratio_range=(0.5, 2.0)),
    dict(type='Pad', size=size, pad_val=0, seg_pad_val=255),
    dict(type='RandomCrop', crop_size=size),
    dict(type='RandomFlip', prob=0.5),
    dict(
        type='RandomColorJitter',
        brightness=0.8,
        contrast=0.8,
        saturation=0.8,
        hue=0.2,
        prob=0.8,
    ),
    dict(type='RandomGrayscale', prob=0.2),
    dict(
        type='RandomGaussianBlur', kernel_size=9, sigma=(0.03, 0.5), prob=0.5
    ),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_semantic_seg']),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug',
        img_scale=(120, 90),
        flip=False,
        transforms=[
            dict(type='Normalize', **img_norm_cfg),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img']),
        ],
    ),
]
reduced = dict(data_root='data/camvid_90x120_60')
data = dict(
    workers_per_gpu=1,
    train=dict(pipeline=train_pipeline, **reduced),
    query=dict(pipeline=test_pipeline, **reduced),
    val=dict(
        pipeline=test_pipeline,
        img_dir='images/val',
        ann_dir='annotations/val',
        **reduced,
    ),
    test=dict(pipeline=test_pipeline, **reduced),
)
active_learning = dict(visualize=None)
lr_config = dict(policy='step', step=[4, 8], gamma=0.1, by_epoch=True)
evaluation = dict(interval=10, metric='mIoU')
checkpoint_config = dict(interval=10)
log_config = dict(interval=15)  # an epoch
workflow = [('train', 10), ('query', 1)]
runner = dict(sample_rounds=2)
