# 367 training images are the pool; 233 test images are for evaluation.
data_root = 'data/camvid'
size = (360, 480)  # (height, width)
img_norm_cfg = dict(mean=[127.5] * 3, std=[127.5] * 3, to_rgb=True)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='Resize', img_scale=(480, 360), ratio_range=(0.5, 2.0)),
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
        type='RandomGaussianBlur', kernel_size=37, sigma=(0.1, 2.0), prob=0.5
    ),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_semantic_seg']),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug',
        img_scale=(480, 360),
        flip=False,
        transforms=[
            dict(type='Normalize', **img_norm_cfg),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img']),
        ],
    ),
]
pool = dict(
    type='CamVidDataset',
    data_root=data_root,
    img_dir='images/train',
    ann_dir='annotations/train',
)
test = dict(
    type='CamVidDataset',
    data_root=data_root,
    img_dir='images/test',
    ann_dir='annotations/test',
    pipeline=test_pipeline,
)
data = dict(
    samples_per_gpu=4,
    workers_per_gpu=4,
    train=dict(pipeline=train_pipeline, **pool),
    query=dict(pipeline=test_pipeline, **pool),
    val=test,
    test=test,
)
