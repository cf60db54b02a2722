"""Whole runs whose labels have a price."""

from __future__ import annotations

import json
import shutil

import pytest

from segal.rounds import read_rounds
from segal.train_active_learning import main
from tests.ranks import run_ranks
from tests.test_whole_run import labels, same_weights, weights, without_times
from tests.tiny import write_config, write_images

SHORT = "\nworkflow = [('train', 1), ('query', 1)]\n"
PAID = (
    SHORT
    + """
active_learning.update(
    costs=dict(unit='clicks', pixel=3, image=100, open=7),
    settings=dict(pixel=dict(cost_per_round=103.5, sample_evenly=False)))
"""
)


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp('images'))


def run(config, work_dir, *options):
    return main([str(config), '--work-dir', str(work_dir), *options])


def costs(work_dir):
    return [row['cost'] for row in read_rounds(work_dir)]


def cost(unit, round, total):
    return dict(unit=unit, round=round, total=total)


@pytest.mark.slow
@pytest.mark.usefixtures('unabridged')
def test_rows_hold_what_their_labels_cost_and_prices_may_change(
    root, tmp_path, caplog
):
    work_dir = tmp_path / 'run'
    config = write_config(root, extra=SHORT)
    assert run(config, work_dir) == 0
    seconds = [
        cost('seconds', 96.0, 96.0),
        cost('seconds', 96.0, 192.0),
        cost('seconds', 96.0, 288.0),
    ]
    assert costs(work_dir) == seconds
    before = labels(work_dir), without_times(work_dir)

    # a work_dir of old, whose rows have no cost, is read and gets them
    rows = json.loads((work_dir / 'rounds.json').read_text())['rounds']
    for row in rows:
        del row['cost']
    (work_dir / 'rounds.json').write_text(json.dumps({'rounds': rows}))
    assert read_rounds(work_dir)[0].get('cost') is None
    assert run(config, work_dir) == 0
    assert (labels(work_dir), without_times(work_dir)) == before

    table = "unit='clicks', pixel=1, image=50, open=10"
    config = write_config(
        root, extra=f'{SHORT}active_learning.update(costs=dict({table}))\n'
    )
    assert run(config, work_dir) == 0
    assert costs(work_dir) == [
        cost('clicks', 120.0, 120.0),  # eight images opened
        cost('clicks', 40.0, 160.0),
        cost('clicks', 40.0, 200.0),
    ]
    assert labels(work_dir) == before[0]


def test_whole_images_have_their_price(root, tmp_path):
    work_dir = tmp_path / 'run'
    extra = f'{SHORT}active_learning.update(costs=dict(image=60.5, open=1))\n'
    assert run(write_config(root, 'image', extra), work_dir) == 0
    assert costs(work_dir) == [
        cost('seconds', 184.5, 184.5),
        cost('seconds', 123.0, 307.5),
        cost('seconds', 123.0, 430.5),
    ]


def test_budgets_in_cost_are_spent_and_never_overspent(root, tmp_path):
    """Killed and gone on, too, since the label files know what is left."""
    config = write_config(root, extra=PAID)
    whole, cut = tmp_path / 'whole', tmp_path / 'cut'
    assert run(config, whole) == 0
    rows = read_rounds(whole)
    opened = 0
    for number, row in enumerate(rows):
        left = 103.5 * (number + 1) - (row['cost']['total'])
        assert 0 <= left < 3 + 7 * (8 - opened)
        opened = row['total']['images']
        until = row['total']['requested']
        assert row['cost']['total'] == 3 * until + 7 * opened
    # the first draw opens all eight images: 15 pixels, 2.5 left
    assert rows[0]['requested'] == 15
    shutil.copytree(whole, cut)
    kept = json.loads((cut / 'rounds.json').read_text())['rounds'][:1]
    (cut / 'rounds.json').write_text(json.dumps({'rounds': kept}))
    for number in (1, 2):
        (cut / f'labels/round_{number:03d}.npz').unlink()
        shutil.rmtree(cut / f'round_{number:03d}')
    chain = json.loads((cut / 'labels/chain.json').read_text())
    assert len(chain['files']) == 3
    (cut / 'labels/chain.json').unlink()
    assert run(config, cut) == 0
    assert without_times(cut) == without_times(whole)
    assert labels(cut) == labels(whole)
    assert same_weights(weights(cut, 2), weights(whole, 2))

    other = write_config(root, extra=PAID.replace('pixel=3', 'pixel=4'))
    assert run(other, cut) == 4  # prices decide what is asked


@pytest.mark.slow
def test_every_rank_counts_the_same_sum(root, tmp_path):
    evenly = PAID.replace('sample_evenly=False', 'sample_evenly=True')
    config = write_config(
        root, extra=f'{evenly}runner.update(sample_rounds=2)\n'
    )
    run_ranks(on_a_rank, 2, str(config), str(tmp_path / 'run'))
    first, last = costs(tmp_path / 'run')
    assert first == cost('clicks', 101.0, 101.0)  # 15 pixels, 8 images
    assert last == cost('clicks', 105.0, 206.0)  # 35 of 106 clicks


def on_a_rank(config, work_dir):
    assert main([config, '--work-dir', work_dir]) == 0
