# The training and the selection of ../camvid_segal that measured well, at the
# size of ../camvid_pixelpick_reduced: a third of the size, 100 pool images,
# three rounds of 10 epochs. Its numbers are not those of the full experiment.
_base_ = '../camvid_pixelpick_reduced/margin.py'
size = (120, 160)  # (height, width)
img_norm_cfg = dict(mean=[127.5] * 3, std=[127.5] * 3, to_rgb=True)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(
        type='LabelKeepingResize',
        img_scale=(160, 120),
        ratio_range=(0.5, 2.0),
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
active_learning = dict(
    settings=dict(pixel=dict(sample_threshold=None)),
    heuristic=dict(
        _delete_=True,
        type='PowerNoise',
        beta=4,
        of=dict(type='ClassBalanced', of='Margin', power=0.5),
    ),
    selector=dict(type='PixelsSpread', distance=8),
)
optimizer = dict(lr=1e-3)
lr_config = dict(
    _delete_=True, policy='poly', power=0.9, min_lr=1e-6, by_epoch=False
)
