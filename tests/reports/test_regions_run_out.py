"""Pools that run dry before the rounds do, as a user runs them."""

import json
import runpy
import sys

import pytest

from segal.errors import DataError
from segal.rounds import read_rounds
from segal.train_active_learning import main
from tests.test_region_runs import store_of
from tests.tiny import write_config, write_images

SHORT = """
workflow = [('train', 1), ('query', 1)]
evaluation['interval'] = 1
runner['sample_rounds'] = {rounds}
"""
DOMINANT = (
    "shape=dict(type='Superpixels', segments=4), query_size=1, "
    "answer='dominant'"
)
MIXED = (
    "shape=dict(type='Superpixels', segments=4), budget_per_round=4, "
    "answer='dominant'"
)


def config(root, settings, rounds, mode='region', extra=''):
    return str(
        write_config(root, mode, SHORT.format(rounds=rounds)
        + f"active_learning['settings']['region'] = dict({settings})\n"
        + extra)
    )  # fmt: skip


def tool(name, monkeypatch, *arguments):
    """Run a tool in this process; its exit code."""
    monkeypatch.setattr(sys, 'argv', [name, *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(f'tools/{name}.py', run_name='__main__')
    return ended.value.code or 0


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp('images'), count=3)


def asked(rows):
    return [row['regions'] for row in rows]


@pytest.mark.slow
@pytest.mark.usefixtures('unabridged')
def test_a_run_ends_where_superpixels_run_out_before_the_rounds(
    root, tmp_path, monkeypatch, caplog
):
    """A query with nothing left to ask asks nothing, and the run goes on.

    scikit-activeml/scikit-activeml #255 (a query without candidates ends in
    a traceback), HealthML/active-segmentation #81 (run until everything is
    labelled), rusty1s/embedded_gcnn #4 (SLIC gives another number of
    superpixels than it was asked for).
    """
    work_dir = tmp_path / 'w'
    path = config(root, DOMINANT, 4)
    main([path, '--work-dir', str(work_dir)])
    rows = read_rounds(work_dir)
    assert len(rows) == 4
    store = store_of(work_dir)
    assert not store.free().any()
    regions = asked(rows)
    last = max(k for k, count in enumerate(regions) if count)
    assert regions[last + 1 :] == [0] * (3 - last)
    assert last < 3
    assert {row['answer'] for row in rows} == {'dominant'}
    assert all(row['iterations'] for row in rows)
    labelled = [row['total']['labelled'] for row in rows]
    assert labelled[last:] == labelled[-1:] * (4 - last)
    assert (work_dir / 'curve.png').exists()

    # more rounds go on over the empty ones
    main([config(root, DOMINANT, 5), '--work-dir', str(work_dir)])
    assert asked(read_rounds(work_dir)) == [*regions, 0]
    assert store_of(work_dir).rounds == 5
    assert tool('labels', monkeypatch, 'check', work_dir) == 0
    assert tool('labels', monkeypatch, 'show', work_dir) == 0
    out = tmp_path / 'report'
    assert tool('report', monkeypatch, work_dir, '--out', out) == 0


def test_images_that_are_open_run_out_of_regions(root, tmp_path):
    """Both budgets are spent, or all that is left is taken."""
    mixed = (
        "active_learning['settings']['mixed'] = dict(inside='region', "
        'split=0.5)\n'
        "active_learning['settings']['image'] = dict(initial_pool=1, "
        'query_size=1)\n'
        "runner['sample_rounds'] = 2\n"
    )
    work_dir = tmp_path / 'w'
    main([config(root, MIXED, 2, 'mixed', mixed), '--work-dir', str(work_dir)])
    rows = read_rounds(work_dir)
    assert [row['opened'] for row in rows] == [1, 1]
    assert all(0 < row['regions'] <= 4 for row in rows)


def test_a_plan_says_in_which_round_the_pool_runs_dry(root, tmp_path, capsys):
    """What the rounds will ask is said before anything is bought."""
    work_dir = tmp_path / 'w'
    path = config(root, DOMINANT, 6, extra="log_level = 'INFO'\n")
    assert main([path, '--work-dir', str(work_dir), '--dry-run']) == 0
    said = ' '.join(capsys.readouterr())
    assert 'the pool gives all that is left' in said
    assert 'later rounds ask nothing' in said
    assert 'regions in the pool)' in said  # counted, since the pool is small
    assert not work_dir.exists()


def test_a_pool_that_is_void_says_so_before_it_trains(root, tmp_path):
    """No label at all is an error about the labels, not about the network."""
    import mmcv
    import numpy as np

    void = write_images(tmp_path / 'void', count=2)
    (void / 'annotations').rename(void / 'val')
    (void / 'annotations').mkdir()
    for path in (void / 'val').iterdir():
        path = void / 'annotations' / path.name
        mmcv.imwrite(np.full((24, 32), 255, np.uint8), str(path))
    from segal.config import load_config
    from segal.utils.train import Options, run_experiment

    for policy in ('charge', 'exclude'):
        extra = (
            f"active_learning['oracle'] = dict(void='{policy}')\n"
            "data['val']['ann_dir'] = 'val'\n"
        )
        with pytest.raises(DataError, match='at least one labelled image'):
            run_experiment(
                load_config(config(void, DOMINANT, 3, extra=extra)),
                Options(tmp_path / policy),
            )
        check = json.loads((tmp_path / policy / 'pool.json').read_text())
        assert len(check['images']) == 2
