"""What was expected of stored runs, against what came."""

import json

import pytest

from tests.report.made_up import write_run
from tests.tools.load import tool

stopping = tool('benchmark/stopping')


@pytest.fixture(scope='module')
def curves():
    return json.loads(stopping.CURVES.read_text())


@pytest.fixture(scope='module')
def rows(curves):
    return {
        (row['part'], row['setting'], row['target']): row
        for row in stopping.compare(curves)
    }


def test_new_curves_hold_what_was_expected(rows):
    """No prior was chosen on them."""
    row = rows['new', 'all', 'next']
    assert row['forecasts'] >= 14
    assert 0.7 <= row['inside80'] <= 0.98
    assert row['inside95'] >= 0.85
    assert row['error'] < row['no_gain']
    assert row['error'] < row['same_gain']


def test_the_stored_summary_is_that_of_the_stored_curves(rows):
    stored = json.loads(stopping.OUT.read_text())['rows']
    assert len(stored) == len(rows)
    for row in stored:
        assert rows[row['part'], row['setting'], row['target']] == {
            key: pytest.approx(value, abs=1e-3)
            if isinstance(value, float)
            else value
            for key, value in row.items()
        }


def test_the_future_of_a_curve_is_not_read(curves):
    curve = dict(curves[0])
    changed = curve | {'miou': [*curve['miou'][:-1], 99.0]}
    looks = list(zip(*map(stopping.looks_back, (curve, changed)), strict=True))
    for one, other in looks:
        assert one['width80'] == other['width80']
        last = other['rounds'] == len(curve['miou']) - 1
        came = one['no_gain'] - other['no_gain']
        assert one['error'] - other['error'] == pytest.approx(came)
        assert (came != 0) == (last or other['target'] == 'end')


def test_curves_are_gathered_from_work_dirs(tmp_path, monkeypatch):
    monkeypatch.setattr(stopping, 'CURVES', tmp_path / 'curves.json')
    run = write_run(tmp_path / 'pixels' / 'margin_seed3', miou=(0.2, 0.3))
    write_run(
        tmp_path / 'pixels' / 'all_seed3', miou=(0.5,), unit='image', initial=4
    )
    (found,) = stopping.gather([run, tmp_path / 'pixels' / 'all_seed3'], 'new')
    assert found['heuristic'] == 'margin'
    assert (found['setting'], found['seed']) == ('pixels', 3)
    assert found['miou'] == [20, 30]
    assert found['asked'] == [12, 24]
