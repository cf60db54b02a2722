# Reduced for a CPU: a 120x160 copy, 100 pool images, a small FPN on half a
# ResNet-18, whole images. The first images are drawn at random.
_base_ = [
    '../../configs/_base_/datasets/camvid.py',
    '../../configs/_base_/default_runtime.py',
]
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    type='EncoderDecoder',
    backbone=dict(
        type='ResNetV1c',
        depth=18,
        stem_channels=32,
        base_channels=32,
        norm_cfg=norm_cfg,
    ),
    neck=dict(
        type='FPN', in_channels=[32, 64, 128, 256], out_channels=48, num_outs=4
    ),
    decode_head=dict(
        type='FPNHead',
        in_channels=[48, 48, 48, 48],
        in_index=[0, 1, 2, 3],
        feature_strides=[4, 8, 16, 32],
        channels=48,
        num_classes=11,
        dropout_ratio=0.1,
        norm_cfg=norm_cfg,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
size = (120, 160)  # (height, width)
img_norm_cfg = dict(mean=[127.5] * 3, std=[60.0] * 3, to_rgb=True)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='Resize', img_scale=(160, 120), ratio_range=(0.75, 1.5)),
    dict(type='Pad', size=size, pad_val=127, seg_pad_val=255),
    dict(type='RandomCrop', crop_size=size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='Normalize', **img_norm_cfg),
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
            dict(type='Normalize', **img_norm_cfg),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img']),
        ],
    ),
]
reduced = dict(data_root='data/camvid_120x160')
data = dict(
    samples_per_gpu=5,
    workers_per_gpu=1,
    train=dict(pipeline=train_pipeline, **reduced),
    query=dict(pipeline=test_pipeline, **reduced),
    val=dict(pipeline=test_pipeline, **reduced),
    test=dict(pipeline=test_pipeline, **reduced),
)
optimizer = dict(type='Adam', lr=2e-3)
optimizer_config = dict()
lr_config = dict(policy='poly', power=0.9, min_lr=0, by_epoch=False)
evaluation = dict(interval=60, metric='mIoU')
checkpoint_config = dict(interval=60)
active_learning = dict(
    settings=dict(image=dict(initial_pool=10, query_size=10)),
    visualize=None,
    heuristic='random',
)
workflow = [('train', 60), ('query', 1)]
runner = dict(
    type='ActiveLearningRunner',
    sample_mode='image',
    sample_rounds=1,
    pretrained='random',
)
