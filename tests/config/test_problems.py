"""Every error a config can cause, all of them at once."""

import pytest

import segal.datasets  # noqa: F401  (registers transforms)
from segal.config import check_against_data, read_config
from segal.structures import PoolImage
from tests.config.minimal import PIPELINE, change, dataset, minimal, read

PIXEL = 'active_learning__settings__pixel'
IMAGE = 'active_learning__settings__image'

WRONG = [
    # unknown keys
    (
        dict(active_learning__heuristics='margin'),
        "active_learning.heuristics: unknown key; did you mean 'heuristic'?",
    ),
    (
        {PIXEL + '__querysize': 3},
        "settings.pixel.querysize: unknown key; did you mean 'query_size'?",
    ),
    (
        {IMAGE + '__initial_pol': 3},
        "settings.image.initial_pol: unknown key; did you mean 'initial_pool'",
    ),
    (
        dict(active_learning__settings__pixels={}),
        "settings.pixels: unknown key; did you mean 'pixel'?",
    ),
    (
        dict(runner__sample_round=3),
        "runner.sample_round: unknown key; did you mean 'sample_rounds'?",
    ),
    (
        dict(active_learning__visualize=dict(sise=3)),
        "visualize.sise: unknown key; did you mean 'size'?",
    ),
    (
        dict(active_learning__reset=dict(weight=True)),
        "reset.weight: unknown key; did you mean 'weights'?",
    ),
    # wrong types
    ({PIXEL + '__query_size': '10'}, "wanted an integer, 1 or more; got '10'"),
    ({PIXEL + '__query_size': True}, 'wanted an integer, 1 or more; got True'),
    ({PIXEL + '__query_size': 0}, 'wanted an integer, 1 or more; got 0'),
    ({IMAGE + '__query_size': 1.5}, 'settings.image.query_size: wanted an'),
    ({PIXEL + '__sample_threshold': 101}, 'above 0, up to 100'),
    ({PIXEL + '__sample_threshold': 0}, 'above 0, up to 100'),
    ({PIXEL + '__sample_evenly': 1}, 'wanted True or False; got 1'),
    ({PIXEL + '__ignore_index': 300}, 'an integer, 0 to 255; got 300'),
    ({IMAGE + '__aggregate': 'men'}, "got 'men'; did you mean 'mean'?"),
    (dict(active_learning__shuffle_prop=1.2), 'from 0 to 1; got 1.2'),
    (dict(active_learning__visualize=3), 'visualize: wanted a dict'),
    (
        dict(active_learning__loss_at_labels='always'),
        "loss_at_labels: wanted 'auto', True or False; got 'always'",
    ),
    (
        dict(active_learning__loss_at_labels=1),
        "loss_at_labels: wanted 'auto', True or False; got 1",
    ),
    (dict(active_learning__visualize=dict(size=-1)), '0 or more; got -1'),
    (dict(active_learning__settings=3), 'settings: wanted a dict; got 3'),
    (dict(active_learning__heuristic=3), 'heuristic: wanted a name or dict'),
    (dict(active_learning__heuristic_cfg=3), 'wanted a dict of arguments'),
    (dict(runner__sample_rounds='3'), 'runner.sample_rounds: wanted an int'),
    (dict(runner__sample_rounds=0), '1 or more; got 0'),
    (dict(runner__pretrained='yes'), "'supervised', 'self-supervised'"),
    (
        dict(runner__type='ActiveLearnRunner'),
        "did you mean 'ActiveLearningRunner'?",
    ),
    (dict(seed=-1), 'seed: wanted an integer, 0 or more; got -1'),
    # required
    (dict(active_learning=...), 'active_learning: required, a dict'),
    (dict(runner=...), 'runner: required, a dict'),
    (dict(workflow=...), 'workflow: required'),
    (dict(active_learning__heuristic=...), 'heuristic: required'),
    (dict(runner__sample_mode=...), 'runner.sample_mode: required'),
    (
        {PIXEL + '__query_size': ...},
        'query_size: required, or budget_per_round, or cost_per_round; got no',
    ),
    (
        dict(active_learning__settings__pixel=...),
        "settings.pixel: required with runner.sample_mode='pixel'",
    ),
    (dict(data=...), 'data.query: required, the pool of images'),
    (dict(data__query=...), 'Write query=dict(type='),
    (dict(data__query=[dataset([]), dataset([])]), 'wanted one data set'),
    (dict(data__query__pipeline=...), 'Write pipeline=test_pipeline'),
    (dict(data__train=...), 'data.train: required'),
    (dict(data__val=...), 'data.val: required'),
    (dict(data__train='x'), "wanted data sets as dicts; got 'x'"),
    (
        dict(data__train__pipeline=[dict(type='LoadImageFromFile')]),
        'data.train.pipeline: wanted LoadAnnotations',
    ),
    (dict(runner__sample_mode='region'), 'settings.region: required with'),
    (
        dict(runner__sample_mode='mixed', active_learning__settings={}),
        'settings.image: required with',
    ),
    # parts
    (
        dict(active_learning__heuristic='entrpy'),
        "heuristic.type: 'entrpy' is not registered; did you mean 'Entropy'? "
        '(valid: ',
    ),
    (
        dict(active_learning__heuristic_cfg=dict(k=32)),
        'active_learning.heuristic.k: Margin has no such argument (it has n',
    ),
    (
        dict(active_learning__heuristic_cfg=dict(type='Margin')),
        'heuristic_cfg.type: wanted arguments alone',
    ),
    (
        dict(active_learning__heuristic=dict(name='margin')),
        'heuristic.type: wanted the name of a registered heuristic; got None',
    ),
    (
        dict(
            active_learning__heuristic=dict(
                type='smoothed',
                of=dict(type='expected_gradient_length', features=True),
            )
        ),
        "ExpectedGradientLength needs 'features', which nothing here gives",
    ),
    # committee
    (dict(active_learning__committee=[]), 'committee: wanted a list of dict('),
    (dict(active_learning__committee='a.pth'), "got 'a.pth'"),
    (
        dict(active_learning__committee=[dict(chekpoint='a.pth')]),
        "committee[0].chekpoint: unknown key; did you mean 'checkpoint'?",
    ),
    (
        dict(active_learning__committee=[dict(rounds=1), dict(rounds=0)]),
        'committee[1].rounds: wanted an integer, 1 or more; got 0',
    ),
    (
        dict(active_learning__committee=[dict(config='a.py')]),
        'committee[0]: wanted checkpoint=... or rounds=..., one of the two',
    ),
    (
        dict(active_learning__committee=[dict(rounds=1, checkpoint='a.pth')]),
        'committee[0]: wanted checkpoint=... or rounds=..., one of the two',
    ),
    (
        dict(active_learning__committee=[dict(rounds=1, config='a.py')]),
        'committee[0].config: not together with rounds',
    ),
    (
        dict(active_learning__committee=[dict(checkpoint='a/{seed}.pth')]),
        'committee[0].checkpoint: wanted a path in which {round} or',
    ),
    (
        dict(active_learning__committee=[dict(checkpoint='a/{round.pth')]),
        'committee[0].checkpoint: wanted a path in which {round} or',
    ),
    (
        dict(active_learning__selector='WholeImages'),
        "WholeImages selects by image, but runner.sample_mode is 'pixel'",
    ),
    (
        dict(active_learning__selector=dict(type='PixelsGlobal', top=3)),
        'selector.top: PixelsGlobal has no such argument',
    ),
    (
        dict(active_learning__selector='Pixels'),
        "selector.type: 'Pixels' is not registered",
    ),
    (
        dict(active_learning__oracle='Truth'),
        "oracle.type: 'Truth' is not registered",
    ),
    (
        dict(active_learning__oracle=dict(void='excluded')),
        "oracle.void: wanted one of 'charge', 'exclude'; got 'excluded'; "
        "did you mean 'exclude'?",
    ),
    # combinations
    (
        {PIXEL + '__sample_threshold': 5, PIXEL + '__sample_evenly': False},
        'sample_threshold: not together with sample_evenly=False; got 5',
    ),
    (
        {PIXEL + '__budget_per_round': 5},
        'query_size: not together with budget_per_round; got 10 and 5',
    ),
    (
        {PIXEL + '__initial_label_pixels': 0},
        'initial_label_pixels: wanted 1 or more, since data.train has no',
    ),
    (
        {IMAGE + '__initial_pool': 0, 'runner__sample_mode': 'image'},
        'initial_pool: wanted 1 or more, since data.train has no labelled',
    ),
    (
        dict(
            active_learning__reset_each_round=True,
            active_learning__reset=dict(optimizer=False),
        ),
        'reset.optimizer: False contradicts reset_each_round=True',
    ),
    (
        dict(runner__pretrained='self-supervised'),
        "checkpoint: required with pretrained='self-supervised'",
    ),
    (
        dict(runner__pretrained='random', runner__checkpoint='a.pth'),
        "checkpoint: not together with pretrained='random'; got 'a.pth'",
    ),
    (
        dict(runner__pretrained='supervised', model__pretrained=None),
        "'supervised', but the model names no weights",
    ),
    # workflow
    (dict(workflow=[('train', 5)]), 'in which no query follows'),
    (dict(workflow=[]), 'workflow: wanted'),
    (dict(workflow=[('train', 0), ('query', 1)]), 'a phase without training'),
    (dict(workflow=[('train', 5), ('query', 2)]), "got ('query', 2)"),
    (dict(workflow=[('trian', 5), ('query', 1)]), "'query'; got 'trian'"),
    (dict(workflow=[('train', 1.5), ('query', 1)]), "after 'train'; got 1.5"),
    (
        dict(workflow=[('train', 5), ('query', 1), ('train', 5)]),
        'Phases of different length are written nested',
    ),
    (
        dict(workflow=[(('train', 5),), (('train', 5),)]),
        "workflow[0]: wanted (('train', n), ('query', 1)) in all but",
    ),
    (dict(workflow=[(('train', 5), 3)]), 'as workflow[0]'),
    (dict(runner__sample_rounds=...), 'required with a flat workflow'),
    # what mmseg's own sections must say
    (
        dict(custom_hooks=[dict(type='EMAHook', priority='VERY_LOW')]),
        'custom_hooks[0].priority: wanted one above NORMAL (a number below',
    ),
    (
        dict(model__decode_head__loss_decode__avg_non_ignore=False),
        'model.decode_head.loss_decode.avg_non_ignore: wanted True',
    ),
    (
        dict(model__decode_head__ignore_index=0),
        'model.decode_head.ignore_index: wanted 255',
    ),
    (
        dict(
            data__train__pipeline=[
                *PIPELINE,
                dict(type='LabelKeepingResize', ignore_index=254),
            ]
        ),
        'data.train.pipeline LabelKeepingResize.ignore_index: wanted 255',
    ),
    ({PIXEL + '__ignore_index': 254}, 'decode_head.ignore_index: wanted 254'),
    (dict(evaluation__interval=-1), 'evaluation.interval: wanted an integer'),
    (dict(evaluation=3), 'evaluation: wanted a dict; got 3'),
    (dict(lr_config=3), 'lr_config: wanted a dict; got 3'),
    (dict(lr_config__policy=...), 'lr_config.policy: required'),
    (
        dict(lr_config__by_epoch=True, runner__by_epoch=False),
        'lr_config.by_epoch: wanted False',
    ),
    (dict(optimizer=...), "optimizer: wanted dict(type='SGD'"),
    (dict(optimizer__type='Adamm'), "'Adamm' is not registered; did you mean"),
    (
        dict(optimizer=dict(type='Adam', lr=0.1, momentum=0.9)),
        'optimizer.momentum: Adam has no such argument',
    ),
]


@pytest.mark.parametrize(('changes', 'words'), WRONG)
def test_one_problem_names_key_wanted_and_got(changes, words):
    _, problems, _ = read_config(minimal(**changes))
    assert any(words in problem for problem in problems), problems


def test_the_minimal_config_has_none():
    assert read_config(minimal())[1] == []


def test_all_problems_come_at_once_and_each_once():
    cfg = minimal()
    change(
        cfg,
        active_learning__heuristic='entrpy',
        active_learning__settings__pixel__query_size=-1,
        runner__sample_rond=3,
        evaluation__interval='often',
        workflow=[('train', 5)],
    )
    config, problems, _ = read_config(cfg)
    assert config is None
    assert len(problems) == len(set(problems)) == 5


def test_a_heuristic_that_needs_what_the_model_cannot_give():
    from segal.active.heuristics.heuristics import BaseHeuristic
    from segal.registry import HEURISTICS

    class Psychic(BaseHeuristic):
        needs = ('future',)

        def __init__(self, days):
            self.days = days

        def score(self, prediction):
            return prediction.probs[0]

    HEURISTICS.register_module(module=Psychic)
    try:
        _, problems, _ = read_config(
            minimal(active_learning__heuristic='psychic')
        )
    finally:
        HEURISTICS.module_dict.pop('Psychic')
    assert len(problems) == 2
    assert 'heuristic.days: Psychic needs this argument' in problems[0]
    assert "Psychic needs 'future' from the network" in problems[1]


POOL = [PoolImage(f'{k}', (10, 20)) for k in range(10)]


@pytest.mark.parametrize(
    ('changes', 'classes', 'words'),
    [
        ({}, 3, None),
        ({}, 4, 'decode_head.num_classes: wanted 4, the classes of the data'),
        (
            dict(model__auxiliary_head=[dict(type='FCNHead', num_classes=19)]),
            3,
            'model.auxiliary_head.0.num_classes: wanted 3',
        ),
        (
            dict(model__decode_head__num_classes=256),
            256,
            'data.train.classes: wanted at most 255, since labels are kept',
        ),
        (dict(model__decode_head__num_classes=1), 2, None),
        (
            dict(model__decode_head__num_classes=2),
            2,
            None,
        ),
        (
            {
                PIXEL + '__ignore_index': 1,
                'model__decode_head__ignore_index': 1,
                'data__train__ignore_index': 1,
                'data__val__ignore_index': 1,
            },
            3,
            'ignore_index: wanted an id that is no class, 3 or more; got 1 (',
        ),
        (
            {PIXEL + '__initial_label_pixels': 201},
            3,
            'initial_label_pixels: 2,010 pixels are more than',
        ),
        (
            {PIXEL + '__query_size': 100},
            3,
            'query_size: 50 pixels at first and 1,000 in each of 2 queries '
            "are 2,050, more than the pool's 2,000; 1 queries fit",
        ),
        ({PIXEL: dict(budget_per_round=666)}, 3, None),
        ({PIXEL: dict(budget_per_round=667)}, 3, 'budget_per_round: 667'),
        (
            {'runner__sample_mode': 'image', IMAGE + '__initial_pool': 11},
            3,
            "initial_pool: 11 images are more than the pool's 10",
        ),
        (
            {'runner__sample_mode': 'image', IMAGE + '__query_size': 3},
            3,
            None,
        ),
        (
            {'runner__sample_mode': 'image', IMAGE + '__query_size': 4},
            3,
            'image.query_size: 4 images at first and 4 in each of 2',
        ),
    ],
)
def test_what_only_the_data_sets_can_tell(changes, classes, words):
    cfg, config, _ = read(**changes)
    names = [f'class {k}' for k in range(classes)]
    problems = check_against_data(cfg, config, POOL, names)
    if words is None:
        assert problems == []
    else:
        assert len(problems) == 1
        assert words in problems[0]


def test_an_empty_pool():
    cfg, config, _ = read()
    problems = check_against_data(cfg, config, [], ['a', 'b', 'c'])
    assert problems == ['data.query: wanted images; the pool is empty']
