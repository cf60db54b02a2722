# Ten short rounds on small scenes, for learning curves with many points:
# 2 pixels per image and round, in 32 scenes of 48 x 64.
_base_ = '../quickstart/quickstart.py'

size = (48, 64)  # (height, width)
scenes = dict(
    data_root='data/synthetic_scenes_48x64',
    scenes=dict(size=size, train=32, val=24),
)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Normalize', mean=[127.5] * 3, std=[60.0] * 3, to_rgb=True),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_semantic_seg']),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug',
        img_scale=size[::-1],
        flip=False,
        transforms=[
            dict(
                type='Normalize',
                mean=[127.5] * 3,
                std=[60.0] * 3,
                to_rgb=True,
            ),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img']),
        ],
    ),
]
data = dict(
    workers_per_gpu=0,
    train=dict(pipeline=train_pipeline, **scenes),
    query=dict(pipeline=test_pipeline, **scenes),
    val=dict(pipeline=test_pipeline, **scenes),
    test=dict(pipeline=test_pipeline, **scenes),
)
evaluation = dict(interval=12)
active_learning = dict(
    settings=dict(pixel=dict(query_size=2, initial_label_pixels=2)),
    visualize=None,
)
runner = dict(sample_rounds=10)
speed = None  # as when curves.json was measured
workflow = [('train', 12), ('query', 1)]
