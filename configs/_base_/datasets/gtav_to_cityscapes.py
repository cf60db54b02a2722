# GTAV, labelled throughout, beside Cityscapes, whose labels are bought. Places
# are those of Cityscapes at 1024x2048; the network sees it at 640x1280.
img_norm_cfg = dict(
    mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True
)
finish = [
    dict(type='RandomFlip', prob=0.0),  # never; Collect wants to know
    dict(type='Normalize', **img_norm_cfg),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_semantic_seg']),
]
source_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='Resize', img_scale=(1280, 720), keep_ratio=False),
    *finish,
]
target_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='LabelKeepingResize', img_scale=(1280, 640), keep_ratio=False),
    *finish,
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug',
        img_scale=(1280, 640),
        flip=False,
        transforms=[
            dict(type='Resize', keep_ratio=False),
            dict(type='Normalize', **img_norm_cfg),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img']),
        ],
    ),
]
source = dict(
    type='GTAVDataset',
    data_root='data/gtav_720x1280',
    img_dir='images',
    ann_dir='labels',
    pipeline=source_pipeline,
)
pool = dict(
    type='CityscapesDataset',
    data_root='data/cityscapes',
    img_dir='leftImg8bit/train',
    ann_dir='gtFine/train',
)
val = dict(
    type='CityscapesDataset',
    data_root='data/cityscapes',
    img_dir='leftImg8bit/val',
    ann_dir='gtFine/val',
    pipeline=test_pipeline,
)
data = dict(
    samples_per_gpu=4,
    workers_per_gpu=4,
    train=[source, dict(pipeline=target_pipeline, **pool)],
    query=dict(pipeline=test_pipeline, **pool),
    val=val,
    test=val,
)
