"""Which changes make another experiment."""

import json

import pytest
from mmcv.runner import HOOKS
from mmcv.runner.hooks import LrUpdaterHook

from segal.config import differing_keys, dump_config, fingerprint
from segal.config.fingerprint import settings_of
from tests.config.minimal import read

SAME = [
    dict(log_config=dict(interval=7)),
    dict(log_level='ERROR'),
    dict(work_dir='elsewhere'),
    dict(gpu_ids=[1]),
    dict(checkpoint_config=dict(interval=2)),
    dict(data__workers_per_gpu=7),
    dict(data__val_dataloader=dict(workers_per_gpu=7)),
    dict(active_learning__visualize=None),
    dict(runner__sample_rounds=9),
    dict(evaluation__interval=1),
    dict(QUERY_EPOCH=5),
    dict(workflow=[(('train', 5), ('query', 1)), (('train', 5),)]),
]
OTHER = [
    (dict(seed=1), 'seed'),
    (dict(optimizer__lr=0.2), 'optimizer.lr'),
    (dict(active_learning__heuristic='entropy'), 'active_learning.heuristic'),
    (
        dict(active_learning__settings__pixel__query_size=11),
        'active_learning.settings.pixel.query_size',
    ),
    (dict(data__samples_per_gpu=4), 'data.samples_per_gpu'),
    (dict(data__train__img_dir='b'), 'data.train.img_dir'),
    (
        dict(model__backbone__norm_cfg__requires_grad=False),
        'model.backbone.norm_cfg.requires_grad',
    ),
    (dict(runner__checkpoint='b.pth'), 'runner.checkpoint'),
    (
        dict(active_learning__loss_at_labels='auto'),
        'active_learning.loss_at_labels',
    ),
    (dict(fp16=dict(loss_scale=512.0)), 'fp16.loss_scale'),
    (dict(workflow=[('train', 6), ('query', 1)]), 'workflow'),
]


def saved(**changes):
    cfg, config, _ = read(**changes)
    return cfg, config, dump_config(cfg)


ONE = dict(
    active_learning__reset_each_round=False,
    lr_config=dict(policy='poly', by_epoch=False),
)


def test_rounds_count_where_one_schedule_spans_them_all():
    _, _, text = saved(**ONE)
    more, _, _ = saved(**ONE, runner__sample_rounds=9)
    (said,) = differing_keys(text, more)
    assert said.startswith('runner.sample_rounds (was ')
    assert ', now 9: with reset.schedule=False one schedule spans' in said
    assert settings_of(json.loads(text)) != settings_of(
        json.loads(dump_config(more))
    )


@HOOKS.register_module()
class SawLrUpdaterHook(LrUpdaterHook):
    """A policy of a user: a saw, of so many iterations or of the whole."""

    def __init__(self, teeth=None, **kwargs):
        super().__init__(**kwargs)
        self.teeth = teeth

    def get_lr(self, runner, base_lr):
        length = self.teeth or runner.max_iters
        return base_lr * (1 - runner.iter % length / length)


CYCLE = dict(policy='cyclic', target_ratio=(0.9, 1), cyclic_times=1)


@pytest.mark.parametrize(
    ('lr', 'momentum', 'depends'),
    [
        (dict(policy='step', step=[3]), None, False),
        (dict(policy='CosineRestart', periods=[99], min_lr=0), None, False),
        (dict(policy='CosineAnnealing', min_lr=0), None, True),
        (dict(policy='OneCycle', max_lr=0.1), None, True),
        (dict(policy='step', step=[3]), CYCLE, True),
        (dict(policy='saw', teeth=4, by_epoch=False), None, False),
        (dict(policy='saw', by_epoch=False), None, True),
    ],
)
@pytest.mark.parametrize('by_epoch', [True, False])
def test_rounds_are_free_where_rates_do_not_depend_on_them(
    lr, momentum, depends, by_epoch
):
    changes = ONE | dict(
        lr_config=lr, momentum_config=momentum, runner__by_epoch=by_epoch
    )
    _, _, text = saved(**changes)
    more, _, _ = saved(**changes, runner__sample_rounds=9)
    assert bool(differing_keys(text, more)) == depends


@pytest.mark.parametrize('changes', SAME)
def test_what_may_change(changes):
    one, one_config, text = saved()
    other, other_config, _ = saved(**changes)
    assert differing_keys(text, other) == []
    assert fingerprint(one, one_config) == fingerprint(other, other_config)


@pytest.mark.parametrize(('changes', 'key'), OTHER)
def test_what_makes_another_experiment(changes, key):
    one, one_config, text = saved()
    other, other_config, _ = saved(**changes)
    found = differing_keys(json.loads(text), other)
    assert found[0].startswith(f'{key} (') or any(
        item.startswith(f'{key} (') for item in found
    )
    assert fingerprint(one, one_config) != fingerprint(other, other_config)


def test_differences_say_what_was_and_what_is():
    _, _, text = saved()
    other, _, _ = saved(optimizer__lr=0.2, fp16=dict(loss_scale=512.0))
    assert differing_keys(text, other) == [
        "fp16.loss_scale (was 'absent', now 512.0)",
        'optimizer.lr (was 0.1, now 0.2)',
    ]


def test_irregular_workflows_may_only_grow():
    short = [(('train', 3), ('query', 1)), (('train', 4),)]
    grown = [
        (('train', 3), ('query', 1)),
        (('train', 4), ('query', 1)),
        (('train', 9),),
    ]
    changed = [(('train', 3), ('query', 1)), (('train', 5),)]
    _, _, text = saved(workflow=short)
    assert differing_keys(text, saved(workflow=grown)[0]) == []
    assert differing_keys(text, saved(workflow=changed)[0]) == [
        'workflow (train lengths were [3, 4], now [3, 5])'
    ]
