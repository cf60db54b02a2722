import pytest
from scipy.stats import ttest_rel

from segal.report.statistics import (
    area,
    first_reaching,
    holm,
    mean_and_spread,
    paired_test,
    penalties,
)


def test_area_by_hand():
    assert area([10, 20, 30], [40, 50, 60]) == 50
    # uneven budgets: 1/4 of the axis at 45, 3/4 at 50
    assert area([0, 10, 40], [40, 50, 50]) == pytest.approx(48.75)


def test_area_of_the_published_curve():
    """PixelPick's MobileNetV2 on CamVid."""
    curve = [50.8, 53.9, 55.3, 55.2, 55.9]
    assert area([20, 40, 60, 80, 100], curve) == pytest.approx(54.44, abs=0.01)


def test_area_of_a_part_by_hand():
    at, values = [0, 10, 40], [40, 50, 50]
    # 45 at 5, 50 at 10 and at 15: half of it 47.5, half 50
    assert area(at, values, (5, 15)) == pytest.approx(48.75)
    assert area(at, values, (0, 40)) == area(at, values)
    assert area(at, values, (20, 30)) == 50
    assert area(at, values, (-1, 20)) is None
    assert area(at, values, (0, 41)) is None
    assert area(at, values, (9, 9)) is None


def test_a_point_that_brought_nothing_has_no_width():
    assert area([10, 20, 20, 30], [40, 50, 60, 60]) == 52.5


def test_a_flat_curve_has_its_height_as_area():
    assert area([3, 7, 100], [42, 42, 42]) == pytest.approx(42)


def test_no_area_is_made_up():
    assert area([10], [50]) is None
    assert area([10, 20, 30], [40, None, 60]) is None
    assert area([10, 10], [1, 2]) is None


def test_mean_and_spread_by_hand():
    assert mean_and_spread([1, 3]) == (2, pytest.approx(2**0.5))
    assert mean_and_spread([5]) == (5, None)
    assert mean_and_spread([]) == (None, None)


def test_paired_test_by_hand():
    # differences 1, 2, 3: mean 2, std 1, t = 2 * sqrt(3), 2 degrees
    test = paired_test({0: 2, 1: 4, 2: 6}, {0: 1, 1: 2, 2: 3})
    t = 2 * 3**0.5
    by_hand = 1 - t / (t**2 + 2) ** 0.5  # Student's t, 2 degrees, both sides
    assert test.pairs == 3
    assert test.difference == 2
    assert test.p == pytest.approx(by_hand)
    assert test.p == pytest.approx(ttest_rel([2, 4, 6], [1, 2, 3]).pvalue)


def test_pairs_are_the_shared_seeds_in_whatever_order():
    test = paired_test({7: 9.0, 2: 5.0, 1: 1.0}, {1: 0.5, 7: 8.0, 3: 99.0})
    assert test.pairs == 2
    assert test.difference == pytest.approx(0.75)
    assert test.p == pytest.approx(ttest_rel([1, 9], [0.5, 8]).pvalue)


@pytest.mark.parametrize(
    ('ones', 'others', 'pairs'),
    [({0: 1}, {0: 2}, 1), ({0: 1}, {1: 2}, 0), ({}, {}, 0)],
)
def test_fewer_than_two_pairs_have_no_p(ones, others, pairs):
    test = paired_test(ones, others)
    assert test.pairs == pairs
    assert test.p is None


def test_no_difference_at_all_has_no_p():
    assert paired_test({0: 1, 1: 2}, {0: 1, 1: 2}).p is None


def test_holm_by_hand():
    # sorted 0.01, 0.03, 0.04: 3 * 0.01, 2 * 0.03, then not below that
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_counts_only_what_was_tested():
    assert holm([None, 0.02, None]) == [None, 0.02, None]


def test_penalties_by_hand():
    """A beats B clearly at the second of two points, nowhere else."""
    curves = {
        'A': {0: [10, 30], 1: [12, 33], 2: [11, 31]},
        'B': {0: [10, 20], 1: [11, 22.5], 2: [12, 21]},
    }
    found = penalties(curves)
    assert found.matrix == ((None, 0.5), (0, None))
    assert found.points == ((0, 2), (2, 0))
    assert found.beaten == (0, 0.5)


def test_penalties_agree_with_scipy():
    curves = {
        'A': {s: [s + 1.0, 2 * s + 2.0, s + 3.0] for s in range(5)},
        'B': {s: [s * 1.1, 2.0 * s, s + 5.1 - s * s / 9] for s in range(5)},
        'C': {s: [1.0, 2.0, 3.0 + s / 2] for s in range(5)},
    }
    found = penalties(curves)
    for i, one in enumerate(curves):
        for j, other in enumerate(curves):
            if i == j:
                continue
            won = 0
            for point in range(3):
                a = [curves[one][s][point] for s in range(5)]
                b = [curves[other][s][point] for s in range(5)]
                test = ttest_rel(a, b)
                won += test.pvalue < 0.05 and test.statistic > 0
            assert found.matrix[i][j] == pytest.approx(won / 3)


def test_unpaired_points_are_not_counted():
    curves = {
        'A': {0: [10, 30], 1: [12, 33.0]},
        'B': {0: [10], 1: [11, 20], 2: [0, 0]},
        'C': {5: [1, 2]},
    }
    found = penalties(curves)
    assert found.points[0] == (0, 1, 0)
    assert found.matrix[0][2] is None
    assert found.beaten[2] is None


def test_first_reaching():
    assert first_reaching([1, None, 5, 7], 5) == 2
    assert first_reaching([1, 2], 5) is None
