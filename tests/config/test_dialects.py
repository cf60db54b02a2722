"""Configs of the first SegAL, and what is done to mmseg's sections."""

import copy

import pytest
import torch
from mmcv import Config
from mmseg.datasets import build_dataset
from mmseg.models import build_segmentor

from segal.config import Phase, network, read_config
from segal.structures import Budget
from tests.config.minimal import (
    PIPELINE,
    TEST_PIPELINE,
    dataset,
    minimal,
    read,
)

MASKED_TRAIN = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='LoadMasks', mask_dir='work/masks'),
    dict(type='ResizeWithMask', img_scale=(64, 48), ratio_range=(0.8, 2.0)),
    dict(type='RandomFlipWithMask', prob=0.5),
    dict(type='RandomCropWithMask', crop_size=(32, 32)),
    dict(type='Normalize', mean=[0.0] * 3, std=[1.0] * 3),
    dict(type='DefaultFormatBundle'),
    dict(
        type='Collect',
        keys=['img', 'gt_semantic_seg', 'mask'],
        meta_keys=('filename', 'mask_filename', 'ori_shape'),
    ),
]
MASKED_QUERY = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='LoadMasks', mask_dir='work/masks'),
    dict(type='ResizeWithMask', img_scale=(64, 48), ratio_range=(0.5, 2.0)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Normalize', mean=[0.0] * 3, std=[1.0] * 3),
    dict(type='DefaultFormatBundle'),
    dict(
        type='Collect',
        keys=['img', 'mask', 'gt_semantic_seg'],
        meta_keys=('filename', 'mask_filename'),
    ),
]


def types(pipeline):
    return [step['type'] for step in pipeline]


def test_the_query_size_dialect():
    """A config of 2022: query_size, flat workflow, by_epoch=False."""
    cfg, config, notes = read(
        active_learning=dict(
            settings=dict(
                image=dict(initial_pool=100, query_size=10),
                pixel=dict(
                    initial_label_pixels=10,
                    sample_threshold=5,
                    query_size=10,
                    sample_evenly=True,
                    ignore_index=255,
                ),
            ),
            visualize=dict(size=4, overlay=True, dir='viz_margin'),
            heuristic='margin',
            shuffle_prop=0.0,
        ),
        workflow=[('train', 40), ('query', 1)],
        runner=dict(
            type='ActiveLearningRunner',
            sample_mode='pixel',
            sample_rounds=10,
            pretrained='supervised',
        ),
        evaluation=dict(interval=8, by_epoch=False, metric='mIoU'),
        checkpoint_config=dict(by_epoch=True, interval=40),
        lr_config=dict(policy='poly', power=0.9, by_epoch=True),
        data__query__pipeline=[*PIPELINE],
        fp16=dict(loss_scale='dynamic'),
    )
    assert config.initial == config.budget == Budget(10, per_image=True)
    assert config.selector['top_percent'] == 5.0
    assert len(config.phases) == 10
    assert config.phases[-1] == Phase(40, False)
    assert cfg.evaluation.by_epoch is True
    assert cfg.evaluation.interval == 8
    assert cfg.fp16 == dict(loss_scale='dynamic')
    assert types(cfg.data.query.pipeline) == [
        'LoadImageFromFile',
        'MultiScaleFlipAug',
    ]
    for words in (
        'evaluation.by_epoch: False is read as True',
        'ground truth is neither loaded nor collected',
        'RandomFlip dropped, queries see images as they are',
        'avg_non_ignore=True',
    ):
        assert sum(words in note for note in notes) == 1, words
    assert len(notes) == 4


def test_the_budget_per_round_dialect():
    """A config of 2023: whole budgets, nested workflow, masks, a source."""
    target = dataset(MASKED_TRAIN)
    source = dict(dataset(MASKED_TRAIN), data_root='games')
    cfg, config, notes = read(
        active_learning=dict(
            settings=dict(
                pixel=dict(
                    budget_per_round=1000,
                    initial_label_pixels=0,
                    sample_evenly=True,
                    ignore_index=255,
                ),
                region=dict(budget_per_round=1000, radius=1),
            ),
            visualize=dict(size=20, overlay=True, dir='viz'),
            reset_each_round=False,
            heuristic='least_confidence',
        ),
        workflow=[
            (('train', 2), ('query', 1)),
            (('train', 1), ('query', 1)),
            (('train', 10),),
        ],
        runner=dict(
            type='ActiveLearningRunner', sample_mode='pixel', sample_rounds=2
        ),
        evaluation=dict(interval=500, by_epoch=False, metric='mIoU'),
        data__train=[source, target],
        data__query=dataset(MASKED_QUERY),
        mask_dir='work/masks',
        source_free=False,
        QUERY_EPOCH=3,
    )
    assert config.initial == Budget(0, per_image=False)
    assert config.budget == Budget(1000, per_image=False)
    assert config.reset.weights is False
    assert [phase.train for phase in config.phases] == [2, 1, 10]
    assert 'mask_dir' not in cfg
    for entry in cfg.data.train:
        assert types(entry.pipeline) == [
            'LoadImageFromFile',
            'LoadAnnotations',
            'Resize',
            'RandomFlip',
            'RandomCrop',
            'Normalize',
            'DefaultFormatBundle',
            'Collect',
        ]
        assert entry.pipeline[-1]['keys'] == ['img', 'gt_semantic_seg']
        assert 'mask_filename' not in entry.pipeline[-1]['meta_keys']
    _, test = cfg.data.query.pipeline
    assert test['img_scale'] == (64, 48)
    assert types(test['transforms']) == [
        'Resize',
        'Normalize',
        'ImageToTensor',
        'Collect',
    ]
    for words in (
        'ResizeWithMask -> Resize',
        'runner.sample_rounds: 2, but the workflow has 3',
        'mask_dir: ignored',
        'settings.region: ignored',
        'ratio_range of Resize, RandomFlip dropped',
    ):
        assert sum(words in note for note in notes) == 1, words


def test_a_translated_query_pipeline_runs(tmp_path):
    import mmcv
    import numpy as np

    image = np.zeros((48, 64, 3), np.uint8)
    mmcv.imwrite(image, str(tmp_path / 'train' / 'a.jpg'))
    cfg, _, _ = read(data__query=dataset(MASKED_QUERY))
    query = dict(cfg.data.query, data_root=str(tmp_path), test_mode=True)
    query['classes'], query['palette'] = ('a',), [[0, 0, 0]]
    sample = build_dataset(query)[0]
    assert set(sample) == {'img', 'img_metas'}
    assert sample['img'][0].shape == (3, 48, 64)


def test_a_query_pipeline_without_resize_keeps_the_size(tmp_path):
    pipeline = [step for step in PIPELINE if step['type'] != 'RandomFlip']
    cfg, _, _ = read(data__query__pipeline=pipeline)
    assert cfg.data.query.pipeline[1]['img_scale'] is None
    assert cfg.data.query.pipeline[1]['img_ratios'] == [1.0]


def test_a_test_pipeline_that_collects_the_truth():
    pipeline = copy.deepcopy(TEST_PIPELINE)
    pipeline.insert(1, dict(type='LoadAnnotations'))
    pipeline[2]['transforms'][-1]['keys'] = ['img', 'gt_semantic_seg']
    cfg, _, notes = read(data__query__pipeline=pipeline)
    assert cfg.data.query.pipeline == TEST_PIPELINE
    assert sum('ground truth is neither' in note for note in notes) == 1


def test_a_test_pipeline_is_left_alone():
    before = minimal().data.query.pipeline
    cfg, _, notes = read()
    assert cfg.data.query.pipeline == before
    assert not any('query' in note for note in notes)


@pytest.mark.parametrize('key', ['query_epochs', 'query_epoch'])
def test_train_length_from_before_the_workflow(key):
    _, config, notes = read(workflow=[('train', 1)], **{f'runner__{key}': 7})
    assert config.phases[0].train == 7
    assert any(f'runner.{key}: read as workflow' in note for note in notes)
    _, config, notes = read(**{f'active_learning__{key}': 7})
    assert config.phases[0].train == 5
    assert f'active_learning.{key}: ignored, workflow counts' in notes


def test_settings_from_before_settings():
    _, config, notes = read(
        active_learning=dict(
            sample_mode='pixel',
            pixel_based_settings=dict(
                query_size=20, budget=400, initial_label_pixels=20
            ),
            image_based_settings=dict(initial_pool=100, query_size=100),
            heuristic='entropy',
        ),
        runner__sample_mode=...,
    )
    assert config.budget == Budget(20, per_image=True)
    assert sum('active_learning.' in note for note in notes) == 4


def test_a_value_that_is_written_in_both_ways_is_refused():
    """A base has the new key, and the config that is based on it the old."""
    pixel = dict(query_size=20, initial_label_pixels=20)
    cfg = minimal(
        active_learning__pixel_based_settings=dict(pixel, query_size=10),
        active_learning__settings=dict(pixel=pixel),
        active_learning__sample_mode='image',
        runner__sample_mode='pixel',
    )
    settings, mode = read_config(cfg)[1]
    assert settings.startswith(
        'active_learning.pixel_based_settings.query_size: wanted '
        'active_learning.settings.pixel.query_size alone'
    )
    assert 'runner.sample_mode alone' in mode
    assert "got two values, 'image' and 'pixel'" in mode


def test_regions_from_before_shapes():
    """Squares of a radius, and budgets that count pixels."""
    _, config, notes = read(
        active_learning__settings=dict(
            region=dict(
                budget_per_round=900,
                initial_label_pixels=450,
                sample_evenly=True,
                ignore_index=255,
                radius=2,
            )
        ),
        active_learning__heuristic='ripu',
        active_learning__heuristic_cfg=dict(
            k=1, use_entropy=True, categories=3
        ),
        runner__sample_mode='region',
    )
    assert config.shape == dict(type='Squares', radius=2)
    assert config.initial == Budget(450, per_image=False, in_pixels=True)
    assert config.budget == Budget(900, per_image=False, in_pixels=True)
    assert sum('radius and initial_label_pixels' in n for n in notes) == 1


def test_arguments_of_sparsity_given_to_others():
    for name, cfg in (
        ('entropy', dict(k=1, inflection=0.5)),
        ('ripu', dict(k=1, inflection=0.5)),
    ):
        _, _, notes = read(
            active_learning__heuristic=name, active_learning__heuristic_cfg=cfg
        )
        assert sum('dropped' in note for note in notes) == 1


def test_what_mmseg_leaves_in_the_runner():
    cfg, _, notes = read(runner__max_iters=40000, runner__max_epochs=None)
    assert 'max_iters' not in cfg.runner
    assert any('max_iters, max_epochs dropped' in note for note in notes)


def test_repeated_and_parted_data_sets():
    train = dict(type='RepeatDataset', times=4, dataset=dataset(PIPELINE))
    parted = dict(dataset(PIPELINE), img_dir=['a', 'b'], ann_dir=['c', 'd'])
    query = dict(minimal().data.query)
    cfg, _, notes = read(
        data__train=[train, parted],
        data__query=dict(type='RepeatDataset', times=2, dataset=query),
    )
    assert [entry.img_dir for entry in cfg.data.train] == ['train', 'a', 'b']
    assert [entry.get('ann_dir') for entry in cfg.data.train[1:]] == ['c', 'd']
    assert cfg.data.query.type == 'CustomDataset'
    assert sum('RepeatDataset is unwrapped' in note for note in notes) == 2
    assert sum('are written as 3 data sets' in note for note in notes) == 1


def test_the_lists_of_the_pool_stay_one_data_set():
    lists = dict(img_dir='images', split=['a', 'b'], ann_dir=['c', 'd'])
    query = dict(minimal().data.query, img_dir='images', split=['a', 'b'])
    cfg, _, notes = read(
        data__train=dict(dataset(PIPELINE), **lists), data__query=query
    )
    assert cfg.data.train.split == cfg.data.query.split == ['a', 'b']
    assert cfg.data.train.ann_dir == ['c', 'd']
    assert not any('are written as' in note for note in notes)


def test_every_loss_averages_over_labelled_pixels():
    cfg, _, notes = read(
        model__decode_head__loss_decode=[
            dict(type='CrossEntropyLoss'),
            dict(type='DiceLoss'),
        ],
        model__auxiliary_head=dict(
            type='FCNHead', in_channels=4, channels=4, num_classes=3
        ),
    )
    cross_entropy, dice = cfg.model.decode_head.loss_decode
    assert cross_entropy['avg_non_ignore'] is True
    assert 'avg_non_ignore' not in dice
    # the head's own default loss, which nobody wrote
    assert cfg.model.auxiliary_head.loss_decode.avg_non_ignore is True
    (said,) = [note for note in notes if 'avg_non_ignore' in note]
    assert 'decode_head.loss_decode.0' in said
    assert 'auxiliary_head.loss_decode' in said


def test_the_head_inside_k_nets_averages_over_labelled_pixels():
    inside = dict(type='FCNHead', in_channels=4, channels=4, num_classes=3)
    cfg, _, _ = read(
        model__decode_head=dict(
            type='IterativeDecodeHead',
            num_stages=1,
            kernel_update_head=[dict(type='KernelUpdateHead', num_classes=3)],
            kernel_generate_head=inside,
        )
    )
    made = cfg.model.decode_head.kernel_generate_head
    assert made.loss_decode.avg_non_ignore is True
    assert 'loss_decode' not in cfg.model.decode_head
    made.update(num_classes=4, ignore_index=200)
    assert network.check_classes(cfg, 3) == [
        'model.decode_head.kernel_generate_head.num_classes: wanted 3, the '
        'classes of the data set; got 4'
    ]
    assert network.check_ignore_index(cfg, 255) == [
        'model.decode_head.kernel_generate_head.ignore_index: wanted 255, the '
        'ignore_index of active_learning.settings; got 200'
    ]


@pytest.mark.parametrize('cuda', [True, False])
def test_sync_bn(monkeypatch, cuda):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: cuda)
    cfg, _, notes = read(model__backbone__norm_cfg__type='SyncBN')
    wanted = 'SyncBN' if cuda else 'BN'
    assert cfg.model.backbone.norm_cfg.type == wanted
    assert any('SyncBN' in note for note in notes) is not cuda


def test_first_weights():
    swin = dict(type='Pretrained', checkpoint='swin.pth')
    changes = dict(
        model__backbone__init_cfg=[dict(type='TruncNormal'), swin],
        model__backbone__pretrained='third.pth',
    )
    cfg, config, _ = read(**changes)
    assert cfg.model.pretrained == 'some.pth'
    assert config.runner.checkpoint is None
    for more in (
        dict(runner__pretrained='random'),
        dict(runner__checkpoint='mine.pth'),
        dict(
            runner__pretrained='self-supervised', runner__checkpoint='mine.pth'
        ),
    ):
        cfg, config, notes = read(**changes, **more)
        assert cfg.model.pretrained is None
        assert cfg.model.backbone.pretrained is None
        assert cfg.model.backbone.init_cfg == [dict(type='TruncNormal')]
        assert config.runner.checkpoint == more.get('runner__checkpoint')
        assert sum('model.' in n and 'dropped' in n for n in notes) == 3
    _, _, notes = read(model__pretrained=None)
    assert any('starts from random' in note for note in notes)


def test_evaluation_defaults_to_the_end_of_each_phase():
    cfg, _, notes = read(evaluation=..., lr_config=...)
    assert cfg.evaluation == dict(
        interval=5, by_epoch=True, metric='mIoU', pre_eval=True
    )
    assert cfg.lr_config.policy == 'fixed'
    assert any('only the end of each phase' in note for note in notes)
    assert any('learning rate stays constant' in note for note in notes)


def test_iterations():
    cfg, config, _ = read(
        runner__by_epoch=False, checkpoint_config=dict(interval=2)
    )
    assert config.runner.by_epoch is False
    assert cfg.evaluation.by_epoch is False
    assert cfg.checkpoint_config == dict(interval=2, by_epoch=False)
    assert cfg.lr_config.by_epoch is False


def test_the_canonical_model_builds():
    cfg, _, _ = read(
        model__pretrained=None,
        model__backbone__base_channels=4,
        model__decode_head__in_index=4,
    )
    model = build_segmentor(cfg.model)
    assert model.decode_head.loss_decode.avg_non_ignore is True
    assert isinstance(cfg, Config)
    assert read_config(cfg)[2] == [
        'runner.pretrained: the model names no weights, so training starts '
        'from random ones'
    ]
