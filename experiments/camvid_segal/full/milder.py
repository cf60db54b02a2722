# Milder colours and labels that resizing keeps, too.
_base_ = './poly.py'
size = (90, 120)  # (height, width)
img_norm_cfg = dict(mean=[127.5] * 3, std=[127.5] * 3, to_rgb=True)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(
        type='LabelKeepingResize', img_scale=(120, 90), ratio_range=(0.5, 2.0)
    ),
    dict(type='Pad', size=size, pad_val=0, seg_pad_val=255),
    dict(type='RandomCrop', crop_size=size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_semantic_seg']),
]
data = dict(train=dict(pipeline=train_pipeline))
