"""Extrapolations: what they reach, how wide they are, what they refuse."""

import numpy as np
import pytest

from segal.report.extrapolate import FEWEST, extrapolate

BUDGETS = [100.0 * number for number in range(1, 11)]
AHEAD = [1100.0, 1200.0, 1300.0]


def power(budgets, noise=0.0, seed=0, top=60, drop=30, shape=0.5):
    at = np.asarray(budgets) / budgets[0]
    chance = np.random.default_rng(seed).normal(0, noise, len(at))
    return (top - drop * at**-shape + chance).tolist()


def gain_of(values, budgets=None):
    """Expected gain of another round, and the 80 % interval."""
    budgets = budgets or BUDGETS[: len(values)]
    found = extrapolate(budgets, values, [budgets[-1] + 100])
    low, high = found.interval()
    ends = (found.expected[0], low[0], high[0])
    return [one - values[-1] for one in ends]


def test_a_curve_without_noise_goes_on_as_it_was():
    truth = power([*BUDGETS, *AHEAD])
    found = extrapolate(BUDGETS, truth[:10], AHEAD)
    assert found.expected == pytest.approx(truth[10:], abs=0.3)


@pytest.mark.parametrize('noise', [0.5, 1.0, 2.0])
def test_the_interval_holds_the_next_round_as_often_as_it_says(noise):
    inside = {80: [], 95: []}
    draw = np.random.default_rng(1)
    for seed in range(150):
        truth = power(
            BUDGETS, noise, seed, draw.uniform(40, 80), draw.uniform(10, 40),
            draw.uniform(0.2, 2),
        )  # fmt: skip
        cut = int(draw.integers(FEWEST, 10))
        found = extrapolate(BUDGETS[:cut], truth[:cut], BUDGETS[cut:])
        for level, hits in inside.items():
            low, high = found.interval(level)
            hits.append(low[0] <= truth[cut] <= high[0])
    assert 0.7 <= np.mean(inside[80]) <= 0.97
    assert np.mean(inside[95]) >= 0.88


def test_more_noise_and_a_longer_way_make_it_wider():
    widths = []
    for noise in (0.2, 2.0):
        found = extrapolate(BUDGETS, power(BUDGETS, noise), AHEAD)
        low, high = found.interval()
        assert (np.diff(high - low) > 0).all()
        widths.append((high - low)[0])
    assert widths[1] > 2 * widths[0]


def test_the_unit_of_the_budgets_and_the_level_do_not_count():
    values = power(BUDGETS, 1)
    one = extrapolate(BUDGETS, values, AHEAD)
    other = extrapolate(
        [7 * budget for budget in BUDGETS],
        [value + 5 for value in values],
        [7 * budget for budget in AHEAD],
    )
    assert other.draws == pytest.approx(one.draws + 5)
    again = extrapolate(BUDGETS, values, AHEAD)
    assert (again.draws == one.draws).all()


def test_one_collapsed_round_hardly_counts():
    values = power(BUDGETS, 0.5)
    before = gain_of(values)[0]
    values[4] -= 25
    assert gain_of(values)[0] == pytest.approx(before, abs=1.5)


def test_falling_flat_and_tied_curves_promise_nothing():
    expected, low, high = gain_of([50, 45, 40, 35])
    assert expected < 1
    assert low < -2
    expected, low, high = gain_of([30.0] * 6)
    assert abs(expected) < 0.3
    assert low < 0 < high


def test_equal_budgets_are_one():
    tied = extrapolate([100, 200, 200], [20, 25, 26], [300])
    assert tied is None
    found = extrapolate([100, 200, 200, 300], [20, 25, 26, 28], [300, 400])
    assert 26 < found.expected[0] < 31


@pytest.mark.parametrize(
    ('budgets', 'values'),
    [
        ([], []),
        ([100], [20]),
        ([100, 200], [20, 25]),
        ([0, 100, 200], [5, 20, 25]),
        ([100, 200, 300], [20, None, 25]),
        ([100, 200, 300], [20, float('nan'), 25]),
        ([100, 100, 100], [20, 21, 22]),
    ],
)
def test_too_few_rounds_are_refused(budgets, values):
    assert extrapolate(budgets, values, [400]) is None


def test_long_curves_and_wide_steps_are_no_trouble():
    budgets = np.geomspace(1, 1e9, 60).tolist()
    values = power(budgets, 1)
    found = extrapolate(budgets, values, [2e9])
    assert np.isfinite(found.draws).all()
    assert found.expected[0] == pytest.approx(60, abs=2)
