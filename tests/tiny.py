"""Eight tiny images and a tiny network, for tests that need the whole."""

from __future__ import annotations

from pathlib import Path

import mmcv
import numpy as np

CLASSES = ('ground', 'thing', 'sky')

CONFIG = """
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    type='EncoderDecoder',
    pretrained=None,
    backbone=dict(
        type='UNet', in_channels=3, base_channels=4, num_stages=2,
        strides=(1, 1), enc_num_convs=(1, 1), dec_num_convs=(1,),
        downsamples=(True,), enc_dilations=(1, 1), dec_dilations=(1,),
        norm_cfg=norm_cfg, act_cfg=dict(type='ReLU'),
        upsample_cfg=dict(type='InterpConv')),
    decode_head=dict(
        type='FCNHead', in_channels=4, in_index=1, channels=4, num_convs=1,
        concat_input=False, dropout_ratio=0.1, num_classes=3,
        norm_cfg=norm_cfg, align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
norm = dict(mean=[120.0] * 3, std=[60.0] * 3, to_rgb=True)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='Resize', img_scale=(32, 24), ratio_range=(0.8, 1.4)),
    dict(type='RandomCrop', crop_size=(20, 28)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='Normalize', **norm),
    dict(type='Pad', size=(20, 28), pad_val=0, seg_pad_val=255),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_semantic_seg'])]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='MultiScaleFlipAug', img_scale=(32, 24), flip=False,
         transforms=[
             dict(type='Normalize', **norm),
             dict(type='ImageToTensor', keys=['img']),
             dict(type='Collect', keys=['img'])])]
pool = dict(type='CustomDataset', data_root='{root}', img_dir='images',
            ann_dir='annotations', img_suffix='.png', classes={classes})
data = dict(
    samples_per_gpu=2, workers_per_gpu=0,
    train=dict(pipeline=train_pipeline, **pool),
    query=dict(pipeline=test_pipeline, **pool),
    val=dict(pipeline=test_pipeline, **pool))
active_learning = dict(
    settings=dict(
        image=dict(initial_pool=3, query_size=2),
        pixel=dict(query_size=5, initial_label_pixels=5)),
    visualize=None, heuristic='margin')
runner = dict(type='ActiveLearningRunner', sample_mode='{mode}',
              sample_rounds=3, pretrained='random')
workflow = [('train', 2), ('query', 1)]
optimizer = dict(type='Adam', lr=0.01)
optimizer_config = dict()
lr_config = dict(policy='poly', power=0.9, min_lr=1e-4, by_epoch=False)
evaluation = dict(interval=2, metric='mIoU')
checkpoint_config = dict(interval=1)
log_config = dict(interval=1, hooks=[dict(type='TextLoggerHook')])
log_level = 'WARNING'
"""


def write_images(root: Path, count: int = 8, size=(24, 32)) -> Path:
    """Images whose colour tells the class, with a void stripe."""
    rng = np.random.default_rng(0)
    colours = np.array([[40, 160, 60], [200, 40, 40], [90, 120, 220]])
    height, width = size
    for i in range(count):
        labels = np.zeros(size, np.uint8)
        labels[: height // 3 + i % 3] = 2
        left = int(rng.integers(0, width - 8))
        labels[height // 2 : height // 2 + 6, left : left + 7] = 1
        image = colours[labels] + rng.normal(0, 25, (*size, 3))
        labels[-2:] = 255
        (root / 'images').mkdir(parents=True, exist_ok=True)
        (root / 'annotations').mkdir(exist_ok=True)
        mmcv.imwrite(
            image.clip(0, 255).astype(np.uint8),
            str(root / 'images' / f'{i:02d}.png'),
        )
        mmcv.imwrite(labels, str(root / 'annotations' / f'{i:02d}.png'))
    return root


def config_text(root: Path, mode: str = 'pixel', extra: str = '') -> str:
    """The tiny experiment on images in ``root``, as the text of a config."""
    text = (
        CONFIG.replace('{root}', str(root))
        .replace('{mode}', mode)
        .replace('{classes}', repr(CLASSES))
    )
    return text + extra


def write_config(root: Path, mode: str = 'pixel', extra: str = '') -> Path:
    """The tiny experiment on images in ``root``, as a config file."""
    path = root / f'tiny_{mode}.py'
    path.write_text(config_text(root, mode, extra))
    return path
