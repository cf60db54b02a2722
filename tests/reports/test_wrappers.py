"""Data sets around others, and steps that mix images, are refused in words."""

import pytest
from mmcv import Config, ConfigDict

from segal.config.checks import check_data
from segal.openmmlab.pipelines import clean_query

LOAD = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
SET = dict(type='CustomDataset', img_dir='images', pipeline=LOAD)


def problems(**data):
    whole = dict(train=SET, query=SET, val=SET) | data
    return check_data(Config(dict(data=whole)))


def test_single_data_sets_are_no_wrappers():
    assert problems() == []
    source = SET | dict(file_client_args=dict(backend='disk'))
    assert problems(train=[SET, source]) == []


WRAPPERS = {
    'mosaic': dict(
        type='MultiImageMixDataset',
        dataset=SET,
        pipeline=[dict(type='RandomMosaic', prob=1)],
    ),
    'concat': dict(type='ConcatDataset', datasets=[SET, SET]),
    'own': dict(type='Balanced', inner=SET, power=0.5),
    'own, by name': dict(type='Balanced', of=dict(type='ADE20KDataset')),
    'nested': dict(type='Balanced', of=dict(type='RepeatDataset', of=SET)),
    'repeat': dict(type='RepeatDataset', times=2, dataset=SET),
}


@pytest.mark.parametrize('name', ['train', 'query', 'val'])
@pytest.mark.parametrize('kind', WRAPPERS)
def test_a_wrapper_is_not_supported(name, kind):
    """mmsegmentation #1677: Mosaic wants its data set wrapped."""
    entry = WRAPPERS[kind]
    found = problems(**{name: entry})
    assert len(found) == 1
    assert found[0].startswith(f'data.{name}.type: {entry["type"]} around')
    assert 'is not supported' in found[0]
    assert 'wanted' in found[0]


def test_a_wrapper_among_others_is_named_by_its_place():
    found = problems(train=[SET, WRAPPERS['mosaic']])
    assert found[0].startswith('data.train[1].type: MultiImageMixDataset')


def test_a_step_that_mixes_images_is_not_supported():
    """mmsegmentation #1677: RandomMosaic without a wrapper."""
    mosaic = dict(type='RandomMosaic', prob=1, img_scale=(64, 64))
    found = problems(train=SET | dict(pipeline=[*LOAD, mosaic]))
    assert len(found) == 1
    assert 'data.train.pipeline: RandomMosaic mixes' in found[0]


@pytest.mark.parametrize('name', ['query', 'val'])
def test_one_data_set_is_asked_and_one_evaluated_on(name):
    found = problems(**{name: [SET, SET]})
    assert found[0].startswith(f'data.{name}: wanted one data set, got 2')


def test_a_reader_of_the_users_own_stays_before_the_scale():
    from mmseg.datasets import PIPELINES

    class OwnTiles:
        pass

    PIPELINES.register_module(OwnTiles, force=True)
    flat = [
        dict(type='OwnTiles'),
        dict(type='Resize', img_scale=(32, 24)),
        dict(type='Normalize', mean=[0] * 3, std=[1] * 3),
        dict(type='Collect', keys=['img']),
    ]
    cfg = Config(dict(data=dict(query=ConfigDict(SET, pipeline=flat))))
    try:
        clean_query(cfg)
    finally:
        del PIPELINES.module_dict['OwnTiles']
    kinds = [step['type'] for step in cfg.data.query.pipeline]
    assert kinds == ['OwnTiles', 'MultiScaleFlipAug']
