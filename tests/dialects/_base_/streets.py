# One pool, shown in training; its query pipeline loads the ground truth.
custom_imports = dict(imports=['their_parts'], allow_failed_imports=False)
norm = dict(mean=[120.0] * 3, std=[60.0] * 3, to_rgb=True)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='Resize', img_scale=(32, 24), ratio_range=(0.8, 1.4)),
    dict(type='RandomCrop', crop_size=(20, 28), cat_max_ratio=1.0),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Normalize', **norm),
    dict(type='Pad', size=(20, 28), pad_val=0, seg_pad_val=255),
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
            dict(type='Normalize', **norm),
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
            dict(type='Normalize', **norm),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img']),
        ],
    ),
]
streets = dict(
    type='CamVidDataset',
    data_root='DATA_ROOT/streets',
    img_dir='images',
    ann_dir='annotations',
)
data = dict(
    samples_per_gpu=2,
    workers_per_gpu=0,
    train=dict(pipeline=train_pipeline, **streets),
    query=dict(pipeline=query_pipeline, **streets),
    val=dict(pipeline=test_pipeline, **streets),
    test=dict(pipeline=test_pipeline, **streets),
)
