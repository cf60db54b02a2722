"""The benchmark of a card is rehearsed on CPU."""

import json

import pytest

from tests.tools.load import tool

bench = tool('benchmark/gpu')


@pytest.mark.parametrize(
    'variants',
    [
        ['channels_last'],
        pytest.param(
            ['ours', 'bf16', 'bf16, colours on device'],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_all_of_it_runs(tmp_path, capsys, variants):
    out = tmp_path / 'gpu.json'
    bench.main(['--smoke', '--out', str(out), '--variants', *variants])
    told = json.loads(out.read_text())
    assert list(told['loops']) == ['mmseg', *variants]
    assert told['smoke'] is True
    assert {'device', 'torch', 'commit'} <= told['machine'].keys()
    for name, row in told['loops'].items():
        assert 'error' not in row, row
        assert row['ms'] > 0
        assert 0 <= row['waits'] <= 1
        if name != 'mmseg':
            assert row['query_ratio'] > 0
            ratio = row['ms'] / told['loops']['mmseg']['ms']
            assert row['time_ratio'] == pytest.approx(ratio)
    said = capsys.readouterr().out
    assert said.startswith('rehearsed: no number of it is a result; ')
    assert f'\n| {variants[-1]} |' in said
    assert '- time of an iteration / of mmseg: ' in said


def test_what_fails_is_a_row_of_the_table():
    rows = {
        'mmseg': dict(ms=10.0, per_second=100.0, time_ratio=1.0),
        'bf16': dict(ms=3.0, per_second=333.3, time_ratio=0.3),
        'bf16, compiled': dict(error='RuntimeError: no triton'),
    }
    said = bench.table(rows)
    assert '| bf16, compiled | RuntimeError: no triton |' in said
    assert 'Best: bf16.' in said
    assert 'mmseg: 0.3, wanted at most 0.4 (holds)' in said
