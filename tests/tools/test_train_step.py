import re

import pytest
from load import tool

bench = tool('benchmark/train_step')


@pytest.fixture
def small(monkeypatch):
    """A small image, measured in this process."""
    cases = {'small': bench.Case(bench.FAST, 3, (64, 96))}
    monkeypatch.setattr(bench, 'CASES', cases)
    return cases['small']


def test_both_ways_learn_the_same(small):
    losses = []
    for when in (False, True):
        steps = bench.Steps(small, when, 2, 5)
        bench.torch.manual_seed(0)  # for dropout
        losses.append(steps.model.train_step(steps.batch, None))
        assert steps.step() > 0
    whole, some = losses
    assert float(some['loss']) == pytest.approx(float(whole['loss']), 1e-5)
    assert some['log_vars'].keys() == whole['log_vars'].keys()


def test_our_step_may_be_another_than_mmseg_s(small, monkeypatch, capsys):
    monkeypatch.setattr(bench, 'memory_of', lambda *args: 2**20)
    words = ['channels_last', 'fused']
    bench.main(['--pairs', '1', '--labels', '5', '--speed', *words])
    assert '; at labels, channels_last, fused ' in capsys.readouterr().out


def test_a_line_says_both(small, monkeypatch, capsys):
    peaks = iter([3 * 2**20, 2**20])
    monkeypatch.setattr(bench, 'memory_of', lambda *args: next(peaks))
    bench.main(['--pairs', '2', '--labels', '5'])
    said = capsys.readouterr().out
    assert re.match(
        r'small, 3 classes, batch 2, 5 labels an image, 2 pairs on \w+: whole '
        r'maps \d+ ms, 3 MiB; at labels \d+ ms, 1 MiB; time x \d\.\d+ '
        r'\(quartiles \d\.\d+ to \d\.\d+\), memory x 0\.33\n$',
        said,
    )
