# Cityscapes as the first SegAL ran it: FPN with ResNet-50 on a 256x512 copy,
# Adam at 1e-4, 50 epochs a round, 10 pixels per image and round, 10 rounds.
from segal.config import mmseg_config

_base_ = [
    mmseg_config('_base_/models/fpn_r50.py'),
    '../../configs/_base_/default_runtime.py',
]
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    backbone=dict(norm_cfg=norm_cfg), decode_head=dict(norm_cfg=norm_cfg)
)
size = (256, 512)  # (height, width)
img_norm_cfg = dict(
    mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True
)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='Resize', img_scale=(512, 256), ratio_range=(0.5, 2.0)),
    dict(type='RandomCrop', crop_size=size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='Pad', size=size, pad_val=0, seg_pad_val=255),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_semantic_seg']),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug',
        img_scale=(512, 256),
        flip=False,
        transforms=[
            dict(type='Normalize', **img_norm_cfg),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img']),
        ],
    ),
]
pool = dict(
    type='CityscapesDataset',
    data_root='data/cityscapes_256x512',
    img_dir='leftImg8bit/train',
    ann_dir='gtFine/train',
)
val = dict(
    type='CityscapesDataset',
    data_root='data/cityscapes_256x512',
    img_dir='leftImg8bit/val',
    ann_dir='gtFine/val',
    pipeline=test_pipeline,
)
data = dict(
    samples_per_gpu=4,
    workers_per_gpu=4,
    train=dict(pipeline=train_pipeline, **pool),
    query=dict(pipeline=test_pipeline, **pool),
    val=val,
    test=val,
)
active_learning = dict(
    settings=dict(
        pixel=dict(
            sample_threshold=5,
            query_size=10,
            initial_label_pixels=10,
            sample_evenly=True,
        )
    ),
    visualize=dict(size=10, overlay=True, dir='viz'),
    heuristic='margin',
    reset_each_round=True,
)
runner = dict(
    type='ActiveLearningRunner',
    sample_mode='pixel',
    sample_rounds=10,
    pretrained='supervised',
)
workflow = [('train', 50), ('query', 1)]
optimizer = dict(type='Adam', lr=1e-4, weight_decay=0.0)
optimizer_config = dict()
lr_config = dict(policy='poly', power=0.9, min_lr=1e-5, by_epoch=True)
evaluation = dict(interval=50, metric='mIoU')
