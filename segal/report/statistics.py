"""What many runs say together: areas, paired tests, the penalty matrix.

Pure functions of numbers; nothing here reads a file. Where there are too few
seeds for a number, there is None in its place.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import ttest_rel

ALPHA = 0.05
"""From where on a difference between two heuristics counts as chance."""

FEWEST_PAIRS = 2
"""Seeds that two heuristics must share before they can be compared."""

Values = Mapping[int, float]
"""Seed -> a number."""

Curve = Sequence[float | None]
"""One number for each budget point; None where there is none."""


@dataclass(frozen=True)
class PairedTest:
    """Whether two heuristics differ, seed by seed.

    Attributes:
        pairs: Seeds that both have.
        difference: Mean of the first minus the second; None without pairs.
        p: Two-sided p-value; None with fewer than two pairs, and where every
            difference is exactly 0.
    """

    pairs: int
    difference: float | None
    p: float | None


@dataclass(frozen=True)
class Penalties:
    """How often each heuristic beats each other one.

    Attributes:
        names: The K heuristics.
        matrix: K rows of K; ``matrix[i][j]`` is the share of budget points
            at which i beats j, in [0, 1]. None on the diagonal, and where no
            point has two paired seeds.
        points: K rows of K; how many points were tested.
        beaten: K; the mean of each column: how often a heuristic is beaten
            by the others. Lower is better.
    """

    names: tuple[str, ...]
    matrix: tuple[tuple[float | None, ...], ...]
    points: tuple[tuple[int, ...], ...]
    beaten: tuple[float | None, ...]


def area(
    budgets: Sequence[float],
    values: Curve,
    span: tuple[float, float] | None = None,
) -> float | None:
    """Area under a curve, by trapezoids, over budgets scaled to 0..1.

    Args:
        budgets: (N,), rising.
        values: (N,).
        span: Where to begin and to end, within the budgets; between two of
            them the curve is a straight line. None: all of it.

    Returns:
        In the unit of ``values``; None with fewer than two points, where a
        value is missing, or where the curve does not reach over the span.
    """
    if len(budgets) != len(values):
        raise ValueError(
            f'wanted a value for each of {len(budgets)} budgets, got '
            f'{len(values)}'
        )
    known = np.array([value for value in values if value is not None])
    if len(known) < 2 or len(known) < len(values):
        return None
    at = np.asarray(budgets, np.float64)
    if (np.diff(at) < 0).any() or at[-1] == at[0]:
        raise ValueError(f'wanted rising budgets, got {list(budgets)}')
    low, high = span or (at[0], at[-1])
    if not at[0] <= low < high <= at[-1]:
        return None
    inside = (at > low) & (at < high)  # (N,)
    first, last = np.interp([low, high], at, known)
    scaled = (np.array([low, *at[inside], high]) - low) / (high - low)
    return float(np.trapezoid([first, *known[inside], last], scaled))


def mean_and_spread(
    values: Sequence[float],
) -> tuple[float | None, float | None]:
    """Mean and sample standard deviation (n - 1).

    Returns:
        None for the mean of nothing, and for the spread of fewer than two.
    """
    if not len(values):
        return None, None
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return float(np.mean(values)), spread


def paired_test(first: Values, second: Values) -> PairedTest:
    """Two-sided paired t-test over the seeds that both have.

    Args:
        first: Seed -> number, of one heuristic.
        second: The same, of the other.
    """
    seeds = sorted(first.keys() & second.keys())
    ones = np.array([first[seed] for seed in seeds], np.float64)
    others = np.array([second[seed] for seed in seeds], np.float64)
    gaps = ones - others  # (N,)
    difference = float(gaps.mean()) if len(seeds) else None
    if len(seeds) < FEWEST_PAIRS or not gaps.any():
        return PairedTest(len(seeds), difference, None)
    with warnings.catch_warnings():
        # differences that are all the same: the p-value 0 is then right
        warnings.simplefilter('ignore', RuntimeWarning)
        p = float(ttest_rel(ones, others).pvalue)
    return PairedTest(len(seeds), difference, p if np.isfinite(p) else None)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's correction for several tests at once.

    Source: Holm, A Simple Sequentially Rejective Multiple Test Procedure,
    1979.

    Args:
        p_values: (N,); None is no test, and does not count as one.

    Returns:
        The adjusted p-values, (N,), in the same order.
    """
    tested = [(p, at) for at, p in enumerate(p_values) if p is not None]
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, at) in enumerate(sorted(tested)):
        highest = max(highest, min(1.0, (len(tested) - rank) * p))
        adjusted[at] = highest
    return adjusted


def penalties(
    curves: Mapping[str, Mapping[int, Curve]], alpha: float = ALPHA
) -> Penalties:
    """The pairwise penalty matrix.

    For each pair and each budget point, a two-sided paired t-test over the
    seeds that both have; where it says that i is the better one, i beats j
    there. Each such point adds 1 / number of points. Points at which fewer
    than two seeds are paired are not counted.

    Source: Ash et al., Deep Batch Active Learning by Diverse, Uncertain
    Gradient Lower Bounds, ICLR 2020, section 4.2.

    Args:
        curves: Heuristic -> seed -> its curve, the same budgets in all.
        alpha: The level of each test.
    """
    names = tuple(curves)
    wins = {
        (one, other): _wins(curves[one], curves[other], alpha)
        for one in names
        for other in names
        if one != other
    }
    rows = tuple(
        tuple(
            _ratio(*wins[one, other]) if one != other else None
            for other in names
        )
        for one in names
    )
    points = tuple(
        tuple(wins[one, other][1] if one != other else 0 for other in names)
        for one in names
    )
    beaten = tuple(
        mean_and_spread([cell for cell in column if cell is not None])[0]
        for column in zip(*rows, strict=True)
    )
    return Penalties(names, rows, points, beaten)


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _wins(
    ones: Mapping[int, Curve], others: Mapping[int, Curve], alpha: float
) -> tuple[int, int]:
    """At how many points the first beats the second, and of how many."""
    length = max(
        (len(curve) for curve in (*ones.values(), *others.values())),
        default=0,
    )
    won = points = 0
    for point in range(length):
        test = paired_test(_at(ones, point), _at(others, point))
        if test.pairs < FEWEST_PAIRS:
            continue
        points += 1
        better = test.difference is not None and test.difference > 0
        won += better and test.p is not None and test.p < alpha
    return won, points


def _at(curves: Mapping[int, Curve], point: int) -> dict[int, float]:
    """Seed -> the value at a point, where there is one."""
    found = {}
    for seed, curve in curves.items():
        value = curve[point] if point < len(curve) else None
        if value is not None:
            found[seed] = value
    return found


def first_reaching(values: Curve, wanted: float) -> int | None:
    """The first point at which a curve is as high as wanted, if any."""
    for point, value in enumerate(values):
        if value is not None and value >= wanted:
            return point
    return None
