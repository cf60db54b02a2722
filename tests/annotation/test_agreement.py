"""Agreement: published and hand-computed examples, and rounds of people."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segal.annotation.agreement import (
    agreement,
    alpha_of,
    coincidences,
    wilson,
)

from .test_votes import ROAD, SKY, TREE, Desk

# Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011: section C,
# four observers, twelve units, missing values; nominal alpha is 0.743.
OBSERVERS = """
    1 2 3 3 2 1 4 1 2 . . .
    1 2 3 3 2 2 4 1 2 5 . 3
    . 3 3 3 2 3 4 2 2 5 1 .
    1 2 3 3 2 4 4 1 2 5 1 .
"""
COINCIDENCES = np.zeros((5, 5))  # as printed there
COINCIDENCES[0] = [7, 4 / 3, 1 / 3, 1 / 3, 0]
COINCIDENCES[1] = [4 / 3, 10, 4 / 3, 1 / 3, 0]
COINCIDENCES[2] = [1 / 3, 4 / 3, 8, 1 / 3, 0]
COINCIDENCES[3] = [1 / 3, 1 / 3, 1 / 3, 4, 0]
COINCIDENCES[4] = [0, 0, 0, 0, 3]

# Section A: two observers, ten units, two values; alpha is 0.095.
BINARY = """
    0 1 0 0 0 0 0 0 1 0
    1 1 1 0 0 1 0 0 0 0
"""

# Section B: two observers, twelve units, five values; alpha is 0.692.
NOMINAL = """
    a a b b d c c c e d d a
    b a b b b c c c e d d d
"""


def counts_of(table):
    rows = [line.split() for line in table.strip().splitlines()]
    values = sorted({*itertools.chain(*rows)} - {'.'})
    return np.array(
        [
            [sum(row[unit] == value for row in rows) for value in values]
            for unit in range(len(rows[0]))
        ]
    )


def test_coincidences_are_those_that_are_published():
    found = coincidences(counts_of(OBSERVERS))
    assert np.allclose(found, COINCIDENCES)
    assert found.sum() == pytest.approx(40)


@pytest.mark.parametrize(
    ('table', 'alpha'), [(OBSERVERS, 0.743), (BINARY, 0.095), (NOMINAL, 0.692)]
)
def test_alpha_is_that_which_is_published(table, alpha):
    found = alpha_of(coincidences(counts_of(table)))
    assert found == pytest.approx(alpha, abs=0.0005)


def test_alpha_at_its_limits():
    agree = np.array([[2, 0], [0, 2], [2, 0]])
    assert alpha_of(coincidences(agree)) == pytest.approx(1)
    same = np.array([[2, 0], [2, 0]])
    assert alpha_of(coincidences(same)) is None  # nothing varies
    alone = np.array([[1, 0], [0, 1]])
    assert alpha_of(coincidences(alone)) is None
    differ = np.array([[1, 1], [1, 1]])
    # by hand: o = [[0, 2], [2, 0]], 1 - 3 * 4 / (16 - 8)
    assert alpha_of(coincidences(differ)) == pytest.approx(-0.5)


@given(
    st.lists(
        st.lists(st.integers(0, 4), min_size=3, max_size=3),
        min_size=2,
        max_size=12,
    )
)
def test_alpha_as_pairs_define_it(units):
    """Compare with the definition: disagreement of pairs, one by one."""
    counts = np.array(units)
    given = [np.repeat(np.arange(3), row) for row in counts]
    given = [one for one in given if len(one) > 1]
    values = np.concatenate([*given, []])
    total = len(values)
    observed = sum(
        (one[:, None] != one).sum() / (len(one) - 1) for one in given
    )
    expected = (values[:, None] != values).sum()
    found = alpha_of(coincidences(counts))
    if not expected:
        assert found is None
    else:
        wanted = 1 - (observed / total) / (expected / (total * (total - 1)))
        assert found == pytest.approx(wanted)


def test_an_interval_as_it_is_tabulated():
    # 8 of 10: 0.490 to 0.943 (Newcombe, Statistics in Medicine 1998)
    found = wilson(0.8, 10)
    assert (found.low, found.high) == pytest.approx((0.490, 0.943), abs=0.001)
    assert wilson(1.0, 5).high == 1
    assert wilson(0.0, 5).low == 0


def test_people_are_compared_with_others_and_with_themselves(tmp_path):
    desk = Desk(tmp_path, votes=2)
    desk.all_say(0, ROAD, ROAD)
    desk.all_say(1, TREE, SKY)
    desk.all_say(2, SKY, 'void')
    desk.all_say(3, SKY, 'cant_tell')  # tells nothing
    desk.say(4, ROAD, 'a')
    desk.say(4, ROAD, 'c')
    desk.say(5, ROAD, 'a')  # nobody else has answered
    desk.say(0, ROAD, 'a', 'repeat')
    desk.say(1, SKY, 'a', 'repeat')
    found = agreement(
        [(desk.request, desk.state)],
        ['road', 'tree', 'sky'],
        desk.folder.read_mask,
    )
    assert found.items == 5
    assert found.classes == ['road', 'tree', 'sky', 'void']
    wanted = np.zeros((4, 4))
    wanted[0, 0] = 4  # both directions of two pairs
    wanted[1, 2] = wanted[2, 1] = 1
    wanted[2, 3] = wanted[3, 2] = 1
    assert np.allclose(found.confusion, wanted)
    assert found.alpha == pytest.approx(1 - 7 * 4 / (64 - 16 - 1 - 4 - 1))
    people = {one.who: one for one in found.people}
    assert people['a'].others[::3] == (0.5, 4)
    assert people['a'].repeats[::3] == (0.5, 2)
    assert people['b'].others[::3] == (pytest.approx(1 / 3), 3)
    assert people['c'].others[::3] == (1.0, 1)
    assert people['b'].repeats is None
    assert people['a'].answers == 5


def test_masks_are_compared_place_by_place(tmp_path):
    desk = Desk(tmp_path, 'region', votes=2, answer='all')
    one = np.full((8, 8), ROAD, np.uint8)
    other = one.copy()
    other[4] = TREE
    desk.all_say(0, one, other)
    found = agreement(
        [(desk.request, desk.state)], 'rts', desk.folder.read_mask
    )
    assert found.confusion[0, 0] == 2 * (63 - 8)
    assert found.confusion[0, 1] == 8
    assert found.people[0].others.share == pytest.approx(55 / 63)
    assert found.people[0].others.of == 1


def test_one_answer_each_is_nothing_to_compare(tmp_path):
    desk = Desk(tmp_path, votes=1)
    desk.all_say(0, ROAD)
    found = agreement([(desk.request, desk.state)], 'rts', None)
    assert found is None
