"""What labels cost: by hand, and as the label files tell it."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segal.active.label_store.store import LabelStore
from segal.active.units.costs import Asked, Costs
from segal.active.units.spending import Spending
from segal.structures import (
    LABELLED,
    REFUSED,
    VOID,
    Answers,
    ImageAnswers,
    PixelAnswers,
    PoolImage,
    Selection,
)

TABLE = Costs('clicks', pixel=1, region=7, superpixel=2, image=100, open=0.5)
POOL = [PoolImage(f'{k}.png', (4, 5)) for k in range(4)]


@pytest.mark.parametrize(
    ('asked', 'clicks', 'seconds'),
    [
        (Asked(), 0, 0),
        (Asked(pixels=10), 10, 24),
        (Asked(images=3), 300, Fraction('719.1')),
        (Asked(superpixels=5), 10, 12),
        # two regions, half and a tenth of their images
        (Asked(regions=2, region_shares=0.6), 14, Fraction('143.82')),
        (Asked(opened=4), 2, 0),
        (Asked(10, 3, 2, 0.6, 5, 4), 336, Fraction('898.92')),
    ],
)
def test_costs_by_hand(asked, clicks, seconds):
    assert TABLE.of(asked) == clicks
    assert Costs().of(asked) == seconds


def test_a_sum_costs_the_sum():
    parts = [Asked(pixels=k, images=1, opened=k % 3) for k in range(50)]
    together = sum(parts, Asked())
    assert together == Asked(pixels=1225, images=50, opened=49)
    for costs in (TABLE, Costs()):
        assert costs.of(together) == sum(map(costs.of, parts))


def test_cents_do_not_drift():
    assert Costs(pixel=0.1).of(Asked(pixels=3)) == Fraction('0.3')
    assert float(Costs(pixel=2.4).of(Asked(pixels=480))) == 1152.0


def pixels(number, asked, status):
    """Answers to the same places of some images, all of one status."""
    places = {name: np.array(at, np.int64) for name, at in asked.items()}
    return Answers(
        Selection(number, 'pixel', places),
        {
            name: PixelAnswers(
                at, np.zeros(len(at), 'u1'), np.full(len(at), status, 'u1')
            )
            for name, at in places.items()
        },
    )


def whole(number, maps):
    nothing = np.empty(0, np.int64)
    return Answers(
        Selection(number, 'image', dict.fromkeys(maps, nothing)),
        {name: ImageAnswers(label_map) for name, label_map in maps.items()},
    )


def test_the_label_files_say_what_was_asked(tmp_path):
    store = LabelStore(tmp_path / 'labels', POOL, 'test')
    store.append(pixels(0, {'0.png': [1, 3], '1.png': [0]}, LABELLED))
    store.append(pixels(1, {'1.png': [2], '2.png': [9]}, VOID))
    store.append(pixels(2, {'2.png': [0, 1, 2]}, REFUSED))
    label_map = np.zeros((4, 5), np.uint8)
    store.append(whole(3, {'0.png': label_map, '3.png': None}))
    wanted = [
        Asked(pixels=3, opened=2),
        Asked(pixels=2, opened=1),  # void is paid
        Asked(pixels=3),  # and so is what was refused
        Asked(images=2, opened=1),  # in full, whatever was asked before
    ]
    again = LabelStore(tmp_path / 'labels', POOL, 'test')
    for opened in (store, again):
        assert [opened.asked(k) for k in range(4)] == wanted
    assert sum(map(TABLE.of, wanted)) == 8 + 200 + 4 * 0.5


@pytest.mark.parametrize(
    ('answer', 'wanted', 'clicks'),
    [
        # four of twenty pixels, in two regions, and one image opened
        ('all', Asked(regions=2, region_shares=0.2, opened=1), 14.5),
        ('dominant', Asked(superpixels=2, opened=1), 4.5),
    ],
)
def test_label_files_of_regions(tmp_path, answer, wanted, clicks):
    store = LabelStore(tmp_path / 'labels', POOL, 'test')
    answers = pixels(0, {'0.png': [0, 1, 5, 6]}, LABELLED)
    numbers = {'0.png': np.array([0, 0, 1, 1], np.int32)}
    selection = replace(answers.selection, regions=numbers, answer=answer)
    store.append(replace(answers, selection=selection))
    assert store.asked(0) == wanted
    assert TABLE.of(store.asked(0)) == clicks
    free = Costs('clicks', pixel=1, image=100)
    assert free.of(Asked(regions=2, region_shares=0.2)) == 20


PRICE = st.decimals(0, 30, places=2).map(float)
SUM = st.decimals('0.01', 500, places=2).map(float)


@given(
    st.sampled_from(['pixel', 'image']),
    st.builds(
        Costs,
        pixel=PRICE.filter(bool),
        image=PRICE.filter(bool),
        open=PRICE,
    ),
    SUM,
    st.integers(0, 1),
    st.lists(st.integers(0, 5), max_size=4),
    st.integers(0, 12),
)
def test_a_budget_in_cost_pays_for_the_most_and_no_more(
    unit, costs, amount, first, openings, unopened
):
    spending = Spending(amount, costs, unit, first)
    earlier = []
    for opened in openings:  # some of what was reserved was used
        count = spending.count(earlier, 5) if len(earlier) >= first else 3
        earlier.append(asked(unit, count, min(opened, count)))
    left = spending.left(earlier)
    files = max(0, len(earlier) - first) + 1
    spent = sum(map(costs.of, earlier[first:]))
    assert left == files * Fraction(str(amount)) - spent
    assert left >= Fraction(str(amount))  # nothing was overdrawn
    count = spending.count(earlier, unopened)
    paid = costs.of(asked(unit, count, min(count, unopened)))
    more = costs.of(asked(unit, count + 1, min(count + 1, unopened)))
    assert paid <= left < more


def asked(unit, count, opened):
    return Asked(**{f'{unit}s': count}, opened=opened)


def test_what_is_left_is_carried_over():
    """Ten seconds pay for four clicks, and now and then for a fifth."""
    spending = Spending(10, Costs(), 'pixel')
    earlier = []
    for _ in range(6):
        earlier.append(asked('pixel', spending.count(earlier, 0), 0))
    assert [one.pixels for one in earlier] == [4, 4, 4, 4, 4, 5]
    assert Costs().of(sum(earlier, Asked())) == 60


def test_reserved_in_vain_is_carried_over():
    spending = Spending(10, Costs(pixel=1, open=4), 'pixel', first=1)
    earlier = [asked('pixel', 50, 3)]  # counted, not paid from the budget
    assert spending.count(earlier, 2) == 2  # 2 + 2 x 4
    earlier.append(asked('pixel', 2, 0))  # both in images opened before
    assert spending.count(earlier, 2) == 10  # 18 left: 10 + 2 x 4
    assert spending.count(earlier, 0) == 18
