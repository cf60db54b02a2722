import argparse

import numpy as np
import pytest
from load import tool

from segal.active.selectors import top

bench = tool('benchmark/global_budget')


@pytest.mark.parametrize('rising', [False, True])
@pytest.mark.parametrize('budget', [1, 30, 2000])
def test_the_choice_is_that_of_sorting(rising, budget):
    maps = bench.Maps(7, (24, 32), 8, rising)
    assert bench.is_exact(maps, budget)


def test_a_wrong_choice_is_seen(monkeypatch):
    def first_come(scores, ties, count):
        return np.argsort(-scores, kind='stable')[:count]

    monkeypatch.setattr(top, 'best', first_come)
    assert not bench.is_exact(bench.Maps(7, (24, 32), 8, False), 30)


def test_a_map_is_the_same_wherever_it_is_made():
    maps = bench.Maps(3, (24, 32), 8, False)
    for i, count in enumerate(maps.free()):
        (score, available), (again, _) = maps.make(i), maps.make(i)
        assert np.array_equal(score, again)
        assert available.sum() == count
        assert len(np.unique(score)) == 8


@pytest.mark.slow
def test_a_fresh_process_measures():
    args = argparse.Namespace(images=20, size=(64, 64), levels=8, rising=True)
    got = bench.in_child(args, 500)
    assert 500 * 24 < got['gathered'] < 40 * 500
    assert got['shortlist'] > 0
    assert got['peak'] > 2**25  # all of a process with torch


def test_dropped_maps_gather_nothing():
    got = bench.measure(bench.Maps(20, (64, 64), 8, False), 0)
    assert got['gathered'] < 1000
    assert got['making'] > got['shortlist']


def test_the_peak_counts_what_was_held_for_a_moment():
    bench.reset_peak()
    before = bench.peak()
    held = np.ones(2**25, np.uint8)
    assert held.sum() == 2**25
    del held
    assert bench.peak() - before > 2**24
