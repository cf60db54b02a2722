# Full supervision by the recipe, at half the size and for its 4,600 steps,
# in bfloat16, evaluated on the 101 validation images.
_base_ = '../../camvid_pixelpick/full.py'
size = (180, 240)  # (height, width)
img_norm_cfg = dict(mean=[127.5] * 3, std=[127.5] * 3, to_rgb=True)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='Resize', img_scale=(240, 180), ratio_range=(0.5, 2.0)),
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
        type='RandomGaussianBlur', kernel_size=19, sigma=(0.05, 1.0), prob=0.5
    ),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_semantic_seg']),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug',
        img_scale=(240, 180),
        flip=False,
        transforms=[
            dict(type='Normalize', **img_norm_cfg),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img']),
        ],
    ),
]
half = dict(data_root='data/camvid_180x240')
data = dict(
    workers_per_gpu=1,
    train=dict(pipeline=train_pipeline, **half),
    query=dict(pipeline=test_pipeline, **half),
    val=dict(
        pipeline=test_pipeline,
        img_dir='images/val',
        ann_dir='annotations/val',
        **half,
    ),
    test=dict(pipeline=test_pipeline, **half),
)
active_learning = dict(visualize=None)
evaluation = dict(interval=10, save_best=None)
checkpoint_config = dict(interval=2)
log_config = dict(interval=46)
speed = dict(precision='bf16', fused=True)
