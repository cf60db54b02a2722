# The network and the budget of ../camvid_pixelpick/margin.py; training and
# selection are ours. Schedule and rates were chosen on validation images at a
# reduced size, nothing was at this one: see the README.
_base_ = '../camvid_pixelpick/margin.py'
size = (360, 480)  # (height, width)
img_norm_cfg = dict(mean=[127.5] * 3, std=[127.5] * 3, to_rgb=True)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(
        type='LabelKeepingResize',
        img_scale=(480, 360),
        ratio_range=(0.5, 2.0),
    ),
    dict(type='Pad', size=size, pad_val=0, seg_pad_val=255),
    dict(type='RandomCrop', crop_size=size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='KeepWeakView', **img_norm_cfg),
    dict(type='PhotoMetricDistortion'),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_semantic_seg', 'img_weak']),
]
data = dict(train=dict(pipeline=train_pipeline))
active_learning = dict(
    settings=dict(pixel=dict(sample_threshold=None)),
    class_balance=dict(power=0.5),
    average=dict(decay=0.999),
    pseudo_labels=dict(threshold=0.95, weight=1.0, begin=0.3),
    heuristic=dict(
        _delete_=True,
        type='PowerNoise',
        beta=4,
        of=dict(type='ClassBalanced', of='Margin', power=0.5),
    ),
    selector=dict(type='PixelsSpread', distance=24),
)
optimizer = dict(lr=1e-3)
lr_config = dict(
    _delete_=True, policy='poly', power=0.9, min_lr=1e-6, by_epoch=False
)
