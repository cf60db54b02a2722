"""Cost tables and budgets in cost, as configs state them."""

import json
from dataclasses import asdict

import pytest
import torch
from mmcv import Config

from segal.active.units.costs import Costs
from segal.active.units.spending import Spending
from segal.config import (
    check_against_data,
    differing_keys,
    dump_config,
    fingerprint,
    read_config,
)
from segal.config.costs import read_costs
from segal.errors import ConfigError
from segal.preflight.plan import plan
from segal.structures import Budget, PoolImage
from tests.config.minimal import minimal, read

PIXEL = 'active_learning__settings__pixel'
IMAGE = 'active_learning__settings__image'
PAID = {PIXEL: dict(cost_per_round=100)}
POOL = [PoolImage(f'{k}', (10, 20)) for k in range(10)]


def problems_of(**changes):
    return read_config(minimal(**changes))[1]


def test_absent_means_the_defaults():
    _, config, _ = read()
    assert config.costs == Costs('seconds', 2.4, None, None, 239.7, 0.0)
    assert config.spending is None
    _, config, _ = read(active_learning__costs=dict(pixel=3))
    assert config.costs == Costs(pixel=3)


BAD = dict(
    unit='',
    pixel=-1,
    image=float('nan'),
    region='much',
    superpixel=True,
    open=float('inf'),
    pixels=3,
)
SAID = [
    'costs.unit: wanted a non-empty string',
    'costs.pixel: wanted a finite number, 0 or more; got -1',
    'costs.image: wanted a finite number, 0 or more; got nan',
    "costs.region: wanted a finite number, 0 or more; got 'much'",
    'costs.superpixel: wanted a finite number, 0 or more; got True',
    'costs.open: wanted a finite number, 0 or more; got inf',
    "costs.pixels: unknown key; did you mean 'pixel'?",
]


def test_all_that_is_wrong_with_a_table_comes_at_once():
    with pytest.raises(ConfigError) as raised:
        read_costs(BAD)
    for found in (problems_of(active_learning__costs=BAD),
                  raised.value.problems):  # fmt: skip
        assert len(found) == len(SAID)
        for words in SAID:
            assert any(words in problem for problem in found), words


def test_another_unit_has_no_default_prices():
    found = problems_of(active_learning__costs=dict(unit='clicks', pixel=1))
    assert found == [
        "active_learning.costs.image: required with unit='clicks', since the "
        'default is in seconds; got nothing'
    ]
    table = dict(unit='clicks', pixel=1, image=90)
    assert problems_of(active_learning__costs=table) == []
    assert read_costs(table) == Costs('clicks', pixel=1, image=90)
    with pytest.raises(ConfigError, match=r'here\.pixel: required'):
        read_costs(dict(unit='clicks'), 'here')


@pytest.mark.parametrize(('costs', 'words'), [(3, '3'), ([1], r'\[1\]')])
def test_no_table(costs, words):
    with pytest.raises(ConfigError, match=f'wanted a dict; got {words}'):
        read_costs(costs)
    (problem,) = problems_of(active_learning__costs=costs)
    assert 'active_learning.costs: wanted a dict' in problem


def test_a_budget_in_cost():
    cfg, config, _ = read(**PAID)
    assert config.spending == Spending(100, Costs(), 'pixel', first=0)
    assert config.budget == config.initial == Budget(41, per_image=False)
    assert cfg.active_learning.costs == asdict(Costs())  # written out
    assert config.selector['type'] == 'PixelsPerImage'
    again, problems, _ = read_config(Config(json.loads(dump_config(cfg))))
    assert problems == []
    assert again == config


def test_initial_labels_may_have_a_count_of_their_own():
    paid = dict(cost_per_round=500, initial_pool=3)
    _, config, _ = read(runner__sample_mode='image', **{IMAGE: paid})
    assert config.spending == Spending(500, Costs(), 'image', first=1)
    assert config.initial == Budget(3, per_image=False)
    assert config.budget == Budget(2, per_image=False)


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({PIXEL: dict(cost_per_round=9, query_size=1)},
         'pixel.query_size: not together with cost_per_round; got 1 and 9. '
         'Leave one of the two out'),
        ({PIXEL: dict(cost_per_round=9, query_size=1, budget_per_round=2)},
         'not together with budget_per_round and cost_per_round; got 1 and 2 '
         'and 9. Leave all but one out'),
        ({PIXEL: dict(cost_per_round=float('nan'))},
         'cost_per_round: wanted a finite number above 0; got nan'),
        ({PIXEL: dict(cost_per_round=0)},
         'cost_per_round: wanted a finite number above 0; got 0'),
        ({PIXEL: dict(cost_per_round=2)},
         'cost_per_round: wanted 2.4 seconds or more, the price of one pixel '
         'in an image that is opened for it; got 2'),
        ({PIXEL: dict(cost_per_round=3),
          'active_learning__costs': dict(open=1)},
         'cost_per_round: wanted 3.4 seconds or more'),
        ({PIXEL: dict(cost_per_round=3),
          'active_learning__costs': dict(pixel=0)},
         'active_learning.costs.pixel: wanted a price above 0, since '
         'active_learning.settings.pixel.cost_per_round is spent at it'),
    ],
)  # fmt: skip
def test_budgets_that_cannot_be(changes, words):
    found = problems_of(**changes)
    assert len(found) == 1
    assert words in found[0]


def test_more_than_the_pool_costs():
    cfg, config, _ = read(**{PIXEL: dict(cost_per_round=2000)})
    (problem,) = check_against_data(cfg, config, POOL, 'abc')
    assert problem == (
        'active_learning.settings.pixel.cost_per_round: 2000 seconds in each '
        "of 3 rounds are more than the 4800 seconds that the pool's 2,000 "
        'pixels cost'
    )
    cfg, config, _ = read(**{PIXEL: dict(cost_per_round=1600)})
    assert check_against_data(cfg, config, POOL, 'abc') == []
    much = dict(cost_per_round=9, initial_label_pixels=2001)
    cfg, config, _ = read(**{PIXEL: much})
    (problem,) = check_against_data(cfg, config, POOL, 'abc')
    assert 'initial_label_pixels: 2,001 pixels are more than' in problem


def prints(**changes):
    cfg, config, _ = read(**changes)
    return fingerprint(cfg, config), dump_config(cfg), cfg


def test_prices_tell_experiments_apart_only_where_they_are_a_budget():
    table = dict(pixel=3.1, open=2)
    plain, text, _ = prints()
    priced, _, cfg = prints(active_learning__costs=table)
    assert plain == priced
    assert differing_keys(text, cfg) == []

    paid, text, _ = prints(**PAID)
    assert paid != plain
    assert prints(**PAID, active_learning__costs=dict(pixel=2.4))[0] == paid
    other, _, cfg = prints(**PAID, active_learning__costs=table)
    assert other != paid
    assert differing_keys(text, cfg) == [
        'active_learning.costs.open (was 0.0, now 2)',
        'active_learning.costs.pixel (was 2.4, now 3.1)',
    ]
    renamed = dict(unit='s', pixel=2.4, image=239.7)
    assert prints(**PAID, active_learning__costs=renamed)[0] == paid


def costs_of(text):
    return [
        line.split()[8:] for line in text.split('\n\n')[0].splitlines()[2:]
    ]


def test_dry_run_shows_costs():
    cfg, config, _ = read(active_learning__costs=dict(open=5))
    text = plan(cfg, config, POOL, [1] * 3, torch.nn.Linear(1, 1), 1)
    # 5, 15 and 25 pixels of each of ten images, each opened at the start
    assert costs_of(text) == [
        ['2', 'min', '50', 's'],
        ['6', 'min', '50', 's'],
        ['10', 'min', '50', 's'],
    ]
    assert '2.4 seconds for each pixel, 5 to open an image' in text


def test_dry_run_of_a_budget_in_cost():
    table = dict(unit='clicks', pixel=1, image=20, open=3)
    paid = {PIXEL: dict(cost_per_round=50)}
    cfg, config, _ = read(**paid, active_learning__costs=table)
    text = plan(cfg, config, POOL, [1] * 3, torch.nn.Linear(1, 1), 1)
    # 20 and 10 to open them all; then nothing is left to open
    assert [line.split()[4] for line in text.splitlines()[2:5]] == [
        '20',
        '70',
        '120',
    ]
    assert costs_of(text) == [
        ['50', 'clicks'],
        ['100', 'clicks'],
        ['150', 'clicks'],
    ]
    assert 'at first       pixels for 50 clicks\n' in text
    assert 'pixels for 50 clicks, and what was left, 2 queries' in text
