"""Rounds whose queries ask regions, as a user runs them."""

import json

import numpy as np
import pytest

from segal.active.label_store.show import describe_summary, summary
from segal.active.label_store.store import LabelStore
from segal.errors import ConfigError
from segal.rounds import read_rounds
from segal.structures import PoolImage
from segal.train_active_learning import main
from tests.tiny import write_config, write_images

EXTRA = """
active_learning['settings']['region'] = dict({options})
active_learning['heuristic'] = '{heuristic}'
"""


@pytest.fixture
def root(tmp_path):
    return write_images(tmp_path)


def run(root, work_dir, options, heuristic='margin', extra='', *command):
    text = EXTRA.format(options=options, heuristic=heuristic)
    config = write_config(root, 'region', text + extra)
    main([str(config), '--work-dir', str(work_dir), *command])
    return read_rounds(work_dir)


def store_of(work_dir):
    told = json.loads((work_dir / 'pool.json').read_text())['images']
    pool = [PoolImage(x['name'], tuple(x['size'])) for x in told]
    return LabelStore(work_dir / 'labels', pool)


@pytest.mark.usefixtures('unabridged')
def test_squares_of_each_image(root, tmp_path):
    rows = run(root, tmp_path / 'w', 'query_size=2')
    assert [row['regions'] for row in rows] == [16, 16, 16]
    assert not any('answer' in row for row in rows)
    assert all(16 * 4 <= row['requested'] <= 16 * 9 for row in rows)
    store = store_of(tmp_path / 'w')
    for number in range(3):
        selection = store.selection(number)
        for places in selection.places.values():
            rows_, columns = places // 32, places % 32
            assert len(places) <= 18
            assert rows_.max() < 24
            assert columns.max() < 32
    assert [store.asked(k).regions for k in range(3)] == [16, 16, 16]


def test_a_budget_in_pixels_over_the_pool_is_exact(root, tmp_path):
    rows = run(
        root,
        tmp_path / 'w',
        "budget_per_round=50, budget_unit='pixels', sample_evenly=False",
    )
    assert [row['requested'] for row in rows] == [50, 50, 50]


def test_superpixels_answered_by_their_dominant_class(root, tmp_path):
    options = (
        "shape=dict(type='Superpixels', segments=60, compactness=60), "
        "budget_per_round=12, initial_label_regions=8, answer='dominant'"
    )
    rows = run(root, tmp_path / 'w', options, 'random')
    assert [row['regions'] for row in rows] == [8, 12, 12]
    assert {row['answer'] for row in rows} == {'dominant'}
    assert len(list((tmp_path / 'w' / 'superpixels').iterdir())) == 8
    store = store_of(tmp_path / 'w')
    wrong = 0
    for image in store.pool:
        drawn = store.draw(image.name)
        path = root / 'annotations' / image.name.rpartition('/')[2]
        import mmcv

        truth = mmcv.imread(str(path), 'unchanged')
        bought = drawn != 255
        wrong += int((drawn[bought] != truth[bought]).sum())
    assert wrong > 0  # a dominant class is not every pixel's class
    selection = store.selection(1)
    assert selection.answer == 'dominant'
    assert selection.region_count == 12
    shown = describe_summary(summary(store, ('a', 'b', 'c')))
    assert '12 regions, dominant' in shown
    for name, regions in selection.regions.items():
        labels = store.draw(name).reshape(-1)[selection.places[name]]
        for number in np.unique(regions):
            assert len(np.unique(labels[regions == number])) == 1


@pytest.mark.slow
def test_what_a_sum_pays_for_in_clicks_and_in_squares(root, tmp_path):
    clicks = (
        "shape=dict(type='Superpixels', segments=60, compactness=60), "
        "cost_per_round=25, answer='dominant', initial_label_regions=8"
    )
    rows = run(root, tmp_path / 'c', clicks)
    assert [row['regions'] for row in rows] == [8, 10, 10]  # of 2.4 s each
    assert [row['cost']['round'] for row in rows] == [19.2, 24, 24]
    squares = 'cost_per_round=40'
    prices = "active_learning['costs'] = dict(region=6.5)\n"
    rows = run(root, tmp_path / 's', squares, extra=prices)
    assert [row['regions'] for row in rows] == [6, 6, 6]  # 39 of 40 each
    assert rows[2]['cost']['total'] == 117


@pytest.mark.slow
def test_the_price_of_a_region_without_one_is_its_share(root, tmp_path):
    rows = run(root, tmp_path / 'w', "query_size=96, budget_unit='pixels'")
    share = 8 * 96 / (24 * 32)  # of eight images
    assert rows[0]['cost']['round'] == pytest.approx(share * 239.7)


@pytest.mark.slow
def test_per_cent_of_each_image(root, tmp_path):
    rows = run(
        root,
        tmp_path / 'w',
        "query_size=2.2, budget_unit='percent'",
    )
    assert [row['requested'] for row in rows] == [8 * 16] * 3  # 16.896 of 768


@pytest.mark.slow
def test_void_that_is_never_asked(root, tmp_path):
    rows = run(
        root,
        tmp_path / 'w',
        "query_size=30, budget_unit='pixels'",
        extra="active_learning['oracle'] = dict("
        "type='GroundTruthOracle', void='exclude')\n",
    )
    assert [row['void'] for row in rows] == [0, 0, 0]
    assert [row['requested'] for row in rows] == [240] * 3


def test_an_export_keeps_the_regions(root, tmp_path):
    from tests.tools.load import tool

    options = "budget_per_round=40, budget_unit='pixels'"
    run(root, tmp_path / 'a', options)
    out = tmp_path / 'export'
    assert tool('labels').main(['export', str(tmp_path / 'a'), str(out)]) == 0
    lines = (out / 'labels.jsonl').read_text().splitlines()
    requests = [x for x in map(json.loads, lines) if x['record'] == 'request']
    for selection in map(store_of(tmp_path / 'a').selection, range(3)):
        told = [x for x in requests if x['round'] == selection.round]
        asked = [y for x in selection.regions.values() for y in x.tolist()]
        assert [x['region'] for x in told] == asked
        assert len(told) == len(selection)


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        ('', 'region.query_size: required'),
        ('query_size=2.5', 'a whole number of regions; got 2.5'),
        ("query_size=200, budget_unit='percent'", 'at most 100 per cent'),
        (
            "query_size=20, budget_unit='pixels', answer='dominant'",
            'Count the budget in regions',
        ),
        (
            "query_size=2, shape=dict(type='Squars')",
            "'Squars' is not registered; did you mean 'Squares'",
        ),
        (
            "query_size=2, shape=dict(type='Squares', radios=1)",
            'radios: Squares has no such argument',
        ),
        ("query_size=2, shape=dict(type='Squares', radius=0)", '1 pixel or'),
        (
            "query_size=2, shape=dict(type='Superpixels', segments=1)",
            '2 to 65,000',
        ),
        ('query_size=2, sample_evenly=False, budget=3', 'region.budget'),
        ("query_size=60, budget_unit='percent'", '180 %, more than all'),
        ('cost_per_round=40', 'costs.region: wanted a price above 0'),
        (
            'query_size=2, sample_evenly=False',
            None,
        ),
    ],
)
def test_what_is_wrong_is_found_at_the_start(root, tmp_path, options, said):
    if said is None:
        run(root, tmp_path / 'w', options, 'margin', '', '--dry-run')
        return
    from segal.config import load_config
    from segal.utils.train import Options, run_experiment

    config = write_config(
        root, 'region', EXTRA.format(options=options, heuristic='margin')
    )
    with pytest.raises(ConfigError, match=said):
        run_experiment(
            load_config(str(config)), Options(tmp_path / 'w', dry_run=True)
        )
