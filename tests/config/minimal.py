"""The smallest config there is, and ways to change and read it."""

from mmcv import Config

from segal.config import read_config

PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Normalize', mean=[0.0] * 3, std=[1.0] * 3),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_semantic_seg']),
]
TEST_PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug',
        img_scale=(64, 48),
        flip=False,
        transforms=[
            dict(type='Resize', keep_ratio=True),
            dict(type='Normalize', mean=[0.0] * 3, std=[1.0] * 3),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img']),
        ],
    ),
]


def dataset(pipeline, folder='train'):
    return dict(
        type='CustomDataset',
        data_root='data',
        img_dir=folder,
        pipeline=pipeline,
    )


def settings():
    """The ``active_learning`` of both units."""
    return dict(
        image=dict(initial_pool=4, query_size=2),
        pixel=dict(query_size=10, initial_label_pixels=5),
    )


def minimal(**changes):
    """A config without a problem, with some keys changed.

    ``active_learning__heuristic='entropy'`` sets one key, two underscores
    for a dot; ``...`` as a value removes it.
    """
    cfg = Config(
        dict(
            model=dict(
                type='EncoderDecoder',
                pretrained='some.pth',
                backbone=dict(type='UNet', norm_cfg=dict(type='BN')),
                decode_head=dict(
                    type='FCNHead',
                    in_channels=64,
                    channels=16,
                    num_classes=3,
                    loss_decode=dict(type='CrossEntropyLoss'),
                ),
            ),
            data=dict(
                samples_per_gpu=2,
                train=dataset(PIPELINE),
                query=dataset(TEST_PIPELINE),
                val=dataset(TEST_PIPELINE, 'val'),
            ),
            optimizer=dict(type='SGD', lr=0.1),
            lr_config=dict(policy='poly', power=0.9),
            evaluation=dict(interval=5),
            active_learning=dict(settings=settings(), heuristic='margin'),
            workflow=[('train', 5), ('query', 1)],
            runner=dict(
                type='ActiveLearningRunner',
                sample_mode='pixel',
                sample_rounds=3,
            ),
        )
    )
    change(cfg, **changes)
    return Config(cfg._cfg_dict.to_dict())


def change(cfg, **changes):
    """Set or remove keys, in place."""
    for name, value in changes.items():
        *parts, last = name.split('__')
        here = cfg._cfg_dict
        for part in parts:
            here = here.setdefault(part, {})
        if value is ...:
            here.pop(last, None)
        else:
            here[last] = value


def read(**changes):
    """Read a changed minimal config; it must have no problem."""
    cfg = minimal(**changes)
    config, problems, notes = read_config(cfg)
    assert problems == []
    assert config is not None
    return cfg, config, notes
