"""Rounds that open images and ask places in them, as a user runs them."""

import json

import pytest

from segal.active.label_store.store import LabelStore
from segal.config import load_config
from segal.errors import ConfigError
from segal.rounds import read_rounds
from segal.structures import PoolImage
from segal.train_active_learning import main
from segal.utils.train import Options, run_experiment
from tests.tiny import write_config, write_images

EXTRA = """
active_learning['settings'] = dict(
    image=dict(initial_pool=3, query_size=2), {inside}, mixed=dict({mixed}))
"""
PIXEL = 'pixel=dict(query_size=5)'
POOL = 'pixel=dict(budget_per_round=40)'


@pytest.fixture
def root(tmp_path):
    return write_images(tmp_path)


def run(root, work_dir, inside=PIXEL, mixed='', extra='', *command):
    text = EXTRA.format(inside=inside, mixed=mixed) + extra
    config = write_config(root, 'mixed', text)
    main([str(config), '--work-dir', str(work_dir), *command])
    return read_rounds(work_dir)


def asked(work_dir):
    """For each label file, image -> how many places."""
    told = json.loads((work_dir / 'pool.json').read_text())['images']
    pool = [PoolImage(x['name'], tuple(x['size'])) for x in told]
    store = LabelStore(work_dir / 'labels', pool)
    return [
        {name: len(x) for name, x in store.selection(k).places.items()}
        for k in range(store.rounds)
    ]


def new_and_old(files):
    """For each file, the counts in new images, and those in old ones."""
    seen = set()
    for places in files:
        yield (
            [n for name, n in places.items() if name not in seen],
            [n for name, n in places.items() if name in seen],
        )
        seen |= set(places)


@pytest.mark.usefixtures('unabridged')
def test_both_budgets_are_exact(root, tmp_path):
    rows = run(root, tmp_path / 'w')
    assert [row['opened'] for row in rows] == [3, 2, 2]
    assert [row['total']['images'] for row in rows] == [3, 5, 7]
    assert [row['requested'] for row in rows] == [15, 25, 35]
    counts = list(new_and_old(asked(tmp_path / 'w')))
    assert counts == [
        ([5] * 3, []),
        ([5] * 2, [5] * 3),
        ([5] * 2, [5] * 5),
    ]


def test_unopened_images_need_no_annotation(root, tmp_path):
    run(root, tmp_path / 'a')
    opened = {
        name.rpartition('/')[2]
        for file in asked(tmp_path / 'a')
        for name in file
    }
    left = sorted(x.name for x in (root / 'annotations').iterdir())
    kept = root / 'kept'
    kept.mkdir()
    for name in left:
        (kept / name).write_bytes((root / 'annotations' / name).read_bytes())
        if name not in opened:
            (root / 'annotations' / name).unlink()
    assert len(opened) == 7
    extra = f"data['val']['ann_dir'] = '{kept}'\n"
    run(root, tmp_path / 'b', extra=extra)
    assert asked(tmp_path / 'b') == asked(tmp_path / 'a')


@pytest.mark.slow
def test_void_that_is_never_asked(root, tmp_path):
    extra = (
        "active_learning['oracle'] = dict(type='GroundTruthOracle', "
        "void='exclude')\n"
    )
    rows = run(root, tmp_path / 'w', extra=extra)
    assert [row['opened'] for row in rows] == [3, 2, 2]
    assert [row['void'] for row in rows] == [0, 0, 0]
    assert [row['requested'] for row in rows] == [15, 25, 35]


@pytest.mark.slow
def test_a_fixed_split(root, tmp_path):
    rows = run(root, tmp_path / 'w', POOL, 'split=0.25')
    assert [row['requested'] for row in rows] == [40, 40, 40]
    (first, _), *others = new_and_old(asked(tmp_path / 'w'))
    assert sum(first) == 40
    assert [(sum(new), sum(old)) for new, old in others] == [(10, 30)] * 2
    assert [len(new) for new, _ in others] == [2, 2]


@pytest.mark.slow
def test_what_promises_more_for_its_cost(root, tmp_path):
    inside = 'pixel=dict(budget_per_round=40, sample_evenly=False)'
    prices = "active_learning['costs'] = dict(pixel=1, open={}, image=9)\n"
    mixed = "split='score_per_cost', first_pixels=8"
    rows = run(root, tmp_path / 'w', inside, mixed, prices.format(3))
    for row, (new, old) in zip(
        rows[1:], list(new_and_old(asked(tmp_path / 'w')))[1:], strict=True
    ):
        assert row['opened'] == len(new) <= 2
        assert new == [8] * len(new)
        assert sum(old) + len(new) * (8 + 3) == 40
        assert row['cost']['round'] == 40
    rows = run(root, tmp_path / 'dear', inside, mixed, prices.format(30))
    assert [row['opened'] for row in rows[1:]] == [0, 0]


@pytest.mark.slow
def test_regions_inside_images(root, tmp_path):
    rows = run(root, tmp_path / 'w', 'region=dict(query_size=2)',
               "inside='region'")  # fmt: skip
    assert [row['regions'] for row in rows] == [6, 10, 14]
    assert [row['opened'] for row in rows] == [3, 2, 2]
    rows = run(
        root,
        tmp_path / 'g',
        "region=dict(budget_per_round=50, budget_unit='pixels', "
        'sample_evenly=False)',
        "inside='region', split=0.5",
    )
    assert [row['requested'] for row in rows] == [50, 50, 50]
    assert [row['opened'] for row in rows] == [3, 2, 2]


@pytest.mark.slow
def test_what_new_images_have_no_regions_for_goes_to_old_ones(root, tmp_path):
    inside = (
        "region=dict(shape=dict(type='Squares', radius=7), "
        'initial_label_regions=3, budget_per_round=14)'
    )
    extra = "runner['sample_rounds'] = 2\n"
    mixed = "inside='region', split=1.0"
    rows = run(root, tmp_path / 'w', inside, mixed, extra)
    assert [row['regions'] for row in rows] == [3, 14]
    _, (new, old) = new_and_old(asked(tmp_path / 'w'))
    assert len(new) == 2
    assert sum(old) > 0


def test_images_that_lie_far_apart_are_opened(root, tmp_path):
    rows = run(
        root,
        tmp_path / 'w',
        mixed="selector='CoreSet'",
        extra="active_learning['features'] = dict(type='Segmentor')\n",
    )
    assert [row['opened'] for row in rows] == [3, 2, 2]


@pytest.mark.parametrize(
    ('inside', 'mixed', 'said'),
    [
        ('', '', 'settings.pixel: required'),
        (PIXEL, 'split=2', "'even', 'score_per_cost', or a number"),
        (PIXEL, 'split=0.5', 'write budget_per_round inside'),
        (POOL, "split='score_per_cost'", 'first_pixels=None'),
        (
            POOL,
            "split='score_per_cost', first_pixels=3, selector='CoreSet'",
            "not together with split='score_per_cost'",
        ),
        (PIXEL, "selector='PixelsGlobal'", 'selects by pixel'),
        (PIXEL, "inside='image'", "one of 'pixel', 'region'"),
        (PIXEL, "insight='pixel'", 'mixed.insight: unknown key'),
        ('pixel=dict(cost_per_round=9)', '', 'Write budget_per_round'),
        (
            f'{PIXEL}, image=dict(cost_per_round=900)',
            '',
            'image.cost_per_round: not together with',
        ),
    ],
)
def test_what_is_wrong_is_found_at_the_start(
    root, tmp_path, inside, mixed, said
):
    text = EXTRA.format(inside=inside or 'region={}', mixed=mixed)
    if 'image=' in inside:  # in place of the usual one
        text = text.replace('image=dict(initial_pool=3, query_size=2), ', '')
    config = write_config(root, 'mixed', text)
    with pytest.raises(ConfigError, match=said):
        run_experiment(
            load_config(str(config)), Options(tmp_path / 'w', dry_run=True)
        )


def test_more_images_than_the_pool_has(root, tmp_path):
    text = EXTRA.format(inside=PIXEL, mixed='') + (
        "active_learning['settings']['image']['query_size'] = 3\n"
    )
    config = write_config(root, 'mixed', text)
    with pytest.raises(ConfigError, match="are 9, more than the pool's 8"):
        run_experiment(
            load_config(str(config)), Options(tmp_path / 'w', dry_run=True)
        )
