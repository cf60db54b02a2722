import json

import numpy as np
import pytest
from load import tool

bench = tool('benchmark/diversity')


@pytest.mark.parametrize('way', list(bench.WAYS))
def test_every_way_is_measured(way):
    got = bench.measure(way, 60, 30, 5, 5)
    assert got['seconds'] > 0
    json.dumps(got)


def test_a_choice_that_does_not_spend_the_budget_is_seen(monkeypatch):
    monkeypatch.setitem(
        bench.WAYS, 'k-centre', lambda x, n, taken, ties: np.zeros(n, int)
    )
    with pytest.raises(RuntimeError, match='not spent'):
        bench.measure('k-centre', 60, 30, 5, 0)


@pytest.mark.parametrize(('seconds', 'code'), [(4.9, 0), (5.0, 1)])
def test_the_promise_decides(monkeypatch, capsys, seconds, code):
    monkeypatch.setattr(
        bench, 'in_child', lambda *_: dict(seconds=seconds, added=2**20)
    )
    assert bench.main(['--budget', '10']) == code
    assert (
        f'k-centre                  {seconds:.2f} s' in capsys.readouterr().out
    )
