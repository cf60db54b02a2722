"""A source and a pool, as one data file of several experiments."""

data_root = '{root}'
classes = ('ground', 'thing', 'sky')
img_norm_cfg = dict(mean=[120.0] * 3, std=[60.0] * 3, to_rgb=True)
crop_size = (20, 28)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='Resize', img_scale=(32, 24), ratio_range=(0.8, 1.4)),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='Pad', size=crop_size, pad_val=0, seg_pad_val=255),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_semantic_seg']),
]
query_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(
        type='MultiScaleFlipAug',
        img_scale=(32, 24),
        flip=False,
        transforms=[
            dict(type='Resize', keep_ratio=True),
            dict(type='RandomFlip'),
            dict(type='Normalize', **img_norm_cfg),
            dict(type='DefaultFormatBundle'),
            dict(type='Collect', keys=['img', 'gt_semantic_seg']),
        ],
    ),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug',
        img_scale=(32, 24),
        flip=False,
        transforms=[
            dict(type='Resize', keep_ratio=True),
            dict(type='RandomFlip'),
            dict(type='Normalize', **img_norm_cfg),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img']),
        ],
    ),
]
pool = dict(
    type='CustomDataset',
    data_root=data_root + '/target',
    img_dir='images',
    ann_dir='annotations',
    img_suffix='.png',
    classes=classes,
)
data = dict(
    samples_per_gpu=2,
    workers_per_gpu=0,
    train=dict(
        type='GTAVDataset',
        data_root=data_root + '/source',
        img_dir='images',
        ann_dir='labels',
        pipeline=train_pipeline,
    ),
    query=dict(pipeline=query_pipeline, **pool),
    val=dict(pipeline=test_pipeline, **pool),
    test=dict(pipeline=test_pipeline, **pool),
)
