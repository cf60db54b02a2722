"""What a right config means."""

import dataclasses
import json

import pytest
from mmcv import Config

from segal.config import Phase, Reset, Visualize, dump_config, read_config
from segal.structures import Budget
from tests.config.minimal import minimal, read, settings


def test_the_smallest_config_has_the_defaults_of_the_guide():
    _, config, _ = read()
    assert config.unit == 'pixel'
    assert config.initial == Budget(5, per_image=True)
    assert config.budget == Budget(10, per_image=True)
    assert config.ignore_index == 255
    assert config.keys.shuffle_prop == 0.0
    assert config.heuristic == {'type': 'Margin'}
    assert config.selector == {'type': 'PixelsPerImage', 'top_percent': None}
    assert config.oracle == {'type': 'GroundTruthOracle', 'void': 'charge'}
    assert config.keys.visualize == Visualize(size=10, overlay=True, dir='viz')
    assert config.reset == Reset(True, True, True)
    assert config.keys.loss_at_labels is False
    assert (config.runner.pretrained, config.runner.checkpoint) == (
        'supervised',
        None,
    )
    assert config.seed == 0
    assert config.runner.by_epoch is True
    assert config.queries == 2


def test_it_is_frozen():
    _, config, _ = read()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.seed = 3


@pytest.mark.parametrize(
    ('pixel', 'budget', 'selector'),
    [
        (dict(query_size=7), Budget(7, True), 'PixelsPerImage'),
        (dict(budget_per_round=7), Budget(7, False), 'PixelsPerImage'),
        (
            dict(query_size=7, sample_evenly=False),
            Budget(7, True),
            'PixelsGlobal',
        ),
        (
            dict(budget_per_round=7, sample_evenly=False),
            Budget(7, False),
            'PixelsGlobal',
        ),
    ],
)
def test_all_four_combinations_of_budget_and_evenness(pixel, budget, selector):
    _, config, _ = read(active_learning__settings__pixel=pixel)
    assert config.budget == budget
    assert config.initial == budget  # as many as one round asks
    assert config.selector['type'] == selector


@pytest.mark.parametrize('key', ['query_size', 'budget_per_round'])
def test_image_mode(key):
    _, config, _ = read(
        runner__sample_mode='image',
        active_learning__settings__image={
            'initial_pool': 4,
            key: 2,
            'aggregate': 'median',
        },
    )
    assert config.unit == 'image'
    assert config.initial == Budget(4, per_image=False)
    assert config.budget == Budget(2, per_image=False)
    assert config.selector == {'type': 'WholeImages', 'aggregate': 'median'}


@pytest.mark.parametrize(
    ('threshold', 'percent'),
    [(5, 5.0), (0.5, 0.5), (False, None), (None, None)],
)
def test_sample_threshold(threshold, percent):
    _, config, _ = read(
        active_learning__settings__pixel__sample_threshold=threshold
    )
    assert config.selector['top_percent'] == percent


@pytest.mark.parametrize(
    ('written', 'name'),
    [
        ('margin', 'Margin'),
        ('ENTROPY', 'Entropy'),
        ('least_confidence', 'LeastConfidence'),
        (dict(type='random'), 'Random'),
    ],
)
def test_heuristic_names_in_any_case(written, name):
    _, config, _ = read(active_learning__heuristic=written)
    assert config.heuristic == {'type': name}


def test_heuristic_cfg_is_merged_in():
    from segal.active.heuristics.heuristics import BaseHeuristic
    from segal.registry import HEURISTICS

    class Scaled(BaseHeuristic):
        def __init__(self, scale=1.0):
            self.scale = scale

        def score(self, prediction):
            return prediction.probs[0] * self.scale

    HEURISTICS.register_module(module=Scaled)
    try:
        _, config, _ = read(
            active_learning__heuristic='scaled',
            active_learning__heuristic_cfg=dict(scale=2.0),
        )
    finally:
        HEURISTICS.module_dict.pop('Scaled')
    assert config.heuristic == {'type': 'Scaled', 'scale': 2.0}


def test_an_explicit_selector_takes_the_threshold_of_the_settings():
    _, config, _ = read(
        active_learning__selector='pixels_per_image',
        active_learning__settings__pixel__sample_threshold=5,
    )
    assert config.selector == {'type': 'PixelsPerImage', 'top_percent': 5.0}


@pytest.mark.parametrize(
    ('written', 'visualize'),
    [
        (None, None),
        (False, None),
        (True, Visualize()),
        (dict(size=3), Visualize(size=3)),
        (
            dict(overlay=False, dir='x'),
            Visualize(size=10, overlay=False, dir='x'),
        ),
    ],
)
def test_visualize(written, visualize):
    _, config, _ = read(active_learning__visualize=written)
    assert config.keys.visualize == visualize


@pytest.mark.parametrize(
    ('changes', 'reset'),
    [
        (
            dict(active_learning__reset_each_round=False),
            Reset(False, False, False),
        ),
        (
            dict(active_learning__reset=dict(weights=False)),
            Reset(False, True, True),
        ),
        (
            dict(
                active_learning__reset_each_round=False,
                active_learning__reset=dict(schedule=False),
            ),
            Reset(False, False, False),
        ),
    ],
)
def test_reset(changes, reset):
    _, config, _ = read(**changes)
    assert config.reset == reset


@pytest.mark.parametrize('when', ['auto', True, False])
def test_loss_at_labels(when):
    assert (
        read(active_learning__loss_at_labels=when)[1].keys.loss_at_labels
        is when
    )


def test_oracle_without_a_type_is_the_ground_truth():
    _, config, _ = read(active_learning__oracle=dict(void='exclude'))
    assert config.oracle == {'type': 'GroundTruthOracle', 'void': 'exclude'}


@pytest.mark.parametrize(
    ('workflow', 'rounds', 'phases', 'words'),
    [
        ([('train', 5), ('query', 1)], 2, [(5, True), (5, False)], ''),
        ([['train', 5], ['query', 1]], 1, [(5, False)], ''),
        (
            [(('train', 10), ('query', 1)), (('train', 14),)],
            2,
            [(10, True), (14, False)],
            '',
        ),
        (
            [[['train', 10], ['query', 1]], [['train', 14]]],
            None,
            [(10, True), (14, False)],
            '',
        ),
        (
            [(('train', 10), ('query', 1)), (('train', 14))],
            2,
            [(10, True), (14, False)],
            '',
        ),
        (
            [(('train', 10), ('query', 1)), (('train', 14),)],
            1,
            [(10, True), (14, False)],
            'the workflow counts',
        ),
        (
            [(('train', 3), ('query', 1)), (('train', 4), ('query', 1))],
            2,
            [(3, True), (4, False)],
            'query after the last phase',
        ),
    ],
)
def test_workflows(workflow, rounds, phases, words):
    _, config, notes = read(workflow=workflow, runner__sample_rounds=rounds)
    assert config.phases == tuple(Phase(*phase) for phase in phases)
    said = [note for note in notes if 'workflow' in note]
    assert len(said) == bool(words)
    assert words in ''.join(said)


def test_no_labels_at_first_where_a_source_is_labelled():
    train = minimal().data.train
    source = dict(train, data_root='games')
    _, config, _ = read(
        data__train=[train, source],
        active_learning__settings__pixel__initial_label_pixels=0,
    )
    assert config.initial.amount == 0


def test_reading_twice_changes_nothing():
    cfg, config, _ = read(
        model__backbone__norm_cfg__type='SyncBN', runner__max_iters=9
    )
    text = dump_config(cfg)
    again = Config(json.loads(text))
    other, problems, notes = read_config(again)
    assert (other, problems, notes) == (config, [], [])
    assert dump_config(again) == text


def test_settings_of_the_other_unit_may_be_absent():
    only = {'pixel': settings()['pixel']}
    _, config, _ = read(active_learning__settings=only)
    assert config.unit == 'pixel'
