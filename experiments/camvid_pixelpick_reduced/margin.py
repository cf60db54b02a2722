# Reduced for CPU: a third of the size, 100 pool images, three rounds of 10
# epochs. All else is PixelPick's recipe. Its numbers are not those of the full
# experiment.
_base_ = '../camvid_pixelpick/margin.py'
size = (120, 160)  # (height, width)
img_norm_cfg = dict(mean=[127.5] * 3, std=[127.5] * 3, to_rgb=True)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='Resize', img_scale=(160, 120), ratio_range=(0.5, 2.0)),
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
    # As wide for what is seen: a third of the pixels.
    dict(
        type='RandomGaussianBlur',
        kernel_size=13,
        sigma=(0.033, 0.67),
        prob=0.5,
    ),
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
    workers_per_gpu=1,
    train=dict(pipeline=train_pipeline, **reduced),
    query=dict(pipeline=test_pipeline, **reduced),
    val=dict(pipeline=test_pipeline, **reduced),
    test=dict(pipeline=test_pipeline, **reduced),
)
# The steps at 21 and 41 of 50 epochs, on 10.
lr_config = dict(step=[4, 8])
evaluation = dict(interval=10, save_best=None)
checkpoint_config = dict(interval=10)
workflow = [('train', 10), ('query', 1)]
active_learning = dict(visualize=dict(size=2))
runner = dict(sample_rounds=3)
