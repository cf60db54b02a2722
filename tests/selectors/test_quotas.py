"""Budgets as whole numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segal.active.selectors.quotas import quotas, rounded_share, top_count
from segal.seeding import place_keys

frees = st.lists(st.integers(0, 30), max_size=12).map(
    lambda x: np.array(x, np.int64)
)


def keys(count, stream=0):
    return place_keys(stream, np.arange(count))


@settings(max_examples=200, deadline=None)
@given(frees, st.integers(0, 250), st.integers(0, 99))
def test_quotas(free, budget, stream):
    draws = keys(len(free), stream)
    shares = quotas(budget, free, draws)
    assert shares.sum() == min(budget, free.sum())
    assert (shares >= 0).all()
    assert (shares <= free).all()
    # whoever has less than another, less one, has all it can take
    top = shares.max(initial=0)
    assert (shares[shares < top - 1] == free[shares < top - 1]).all()
    # of those who could take one more, the lowest keys were served
    level = (shares == top - 1) & (free > shares)
    lucky = (shares == top) & (free >= top)
    if level.any() and lucky.any():
        assert draws[lucky].max() < draws[level].min()


@settings(max_examples=100, deadline=None)
@given(frees, st.integers(0, 250), st.randoms(use_true_random=False))
def test_quotas_do_not_depend_on_the_order(free, budget, random):
    draws = keys(len(free))
    order = np.array(random.sample(range(len(free)), len(free)), np.int64)
    shares = quotas(budget, free, draws)
    turned = quotas(budget, free[order], draws[order])
    np.testing.assert_array_equal(shares[order], turned)


def test_quotas_by_hand():
    free = np.array([10, 1, 10, 0])
    draws = np.array([3, 0, 2, 1], np.uint64)
    assert quotas(9, free, draws).tolist() == [4, 1, 4, 0]
    assert quotas(10, free, draws).tolist() == [4, 1, 5, 0]
    assert quotas(2, free, draws).tolist() == [0, 1, 1, 0]
    assert quotas(99, free, draws).tolist() == [10, 1, 10, 0]


@pytest.mark.parametrize(
    ('count', 'share', 'wanted'),
    [(10, 0.25, 3), (10, 0.24, 2), (50, 0.29, 15), (7, 1.0, 7), (7, 0, 0)],
)
def test_halves_are_rounded_up_in_decimal(count, share, wanted):
    assert rounded_share(count, share) == wanted


@pytest.mark.parametrize(
    ('pixels', 'percent', 'wanted'),
    [
        (360 * 480, 5, 8640),
        (360 * 480, 5.0, 8640),
        (1000, 0.7, 7),
        (10000, 0.29, 29),
        (19, 10, 1),
        (9, 10, 0),
    ],
)
def test_the_top_per_cent_is_rounded_down(pixels, percent, wanted):
    assert top_count(pixels, percent) == wanted
