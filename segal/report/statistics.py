"""Compute areas, paired tests and the penalty matrix of many runs.

Pure functions of numbers; nothing here reads a file. None stands for a number
that needs more seeds than there are.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from scipy.stats import ttest_rel

ALPHA = 0.05
"""Level of significance of a difference between two heuristics."""

FEWEST_PAIRS = 2
"""Seeds that two heuristics must share before they can be compared."""

Values = Mapping[int, float | None]
"""Seed -> a number; None where there is none."""

Curve = Sequence[float | None]
"""One number for each budget point; None where there is none."""


@dataclass(frozen=True)
class PairedTest:
    """The paired difference of two heuristics.

    Attributes:
        pairs: Seeds that both have.
        difference: Mean of the first minus the second; None without pairs.
        spread: Sample standard deviation of the differences; None with fewer
            than two pairs.
        p: Two-sided p-value; None with fewer than two pairs, and where every
            difference is exactly 0.
    """

    pairs: int
    difference: float | None
    spread: float | None
    p: float | None


@dataclass(frozen=True)
class Penalties:
    """The penalty matrix: how often each heuristic beats each other one.

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
    """Compute the area under a curve over budgets scaled to 0..1.

    The N budgets rise; ``span`` is the first and last one, with linear
    interpolation between two budgets (None: the whole curve). The area has the
    unit of ``values``; None with fewer than two points, where a value is
    missing, or where the curve does not reach over the span, or over none.
    """
    known = np.array([value for value in values if value is not None])
    if len(known) < 2 or len(known) < len(values):
        return None
    at = np.asarray(budgets, np.float64)
    low, high = span or (at[0], at[-1])
    if not at[0] <= low < high <= at[-1]:
        return None
    inside = (at > low) & (at < high)  # (N,)
    first, last = np.interp([low, high], at, known)
    scaled = (np.array([low, *at[inside], high]) - low) / (high - low)
    return float(np.trapezoid([first, *known[inside], last], scaled))


def mean_and_spread(
    values: Iterable[float | None],
) -> tuple[float | None, float | None]:
    """Compute mean and sample standard deviation (n - 1); None is skipped.

    None for the mean of nothing, and for the spread of fewer than two.
    """
    known = [value for value in values if value is not None]
    if not known:
        return None, None
    spread = float(np.std(known, ddof=1)) if len(known) > 1 else None
    return float(np.mean(known)), spread


def paired_test(first: Values, second: Values) -> PairedTest:
    """Run a two-sided paired t-test over the seeds that both have."""
    pairs = [
        (one, other)
        for seed, one in sorted(first.items())
        if one is not None and (other := second.get(seed)) is not None
    ]
    gaps = [one - other for one, other in pairs]
    difference, spread = mean_and_spread(gaps)
    p = None
    if len(pairs) >= FEWEST_PAIRS and any(gaps):
        with warnings.catch_warnings():
            # differences that are all the same: the p-value 0 is then right
            warnings.simplefilter('ignore', RuntimeWarning)
            p = float(ttest_rel(*zip(*pairs, strict=True)).pvalue)
    p = p if p is not None and np.isfinite(p) else None
    return PairedTest(len(pairs), difference, spread, p)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Correct p-values (N,) by Holm's method; None is no test.

    Source: Holm, A Simple Sequentially Rejective Multiple Test Procedure,
    1979.
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
    """Compute the pairwise penalty matrix.

    Heuristic i beats j at a budget point where a two-sided paired t-test over
    their common seeds, at level ``alpha``, says that i is better. Each such
    point adds 1 / number of points. Points with fewer than two paired seeds
    are not counted. The ``curves`` are heuristic -> seed -> curve, over the
    same budgets.

    Source: Ash et al., Deep Batch Active Learning by Diverse, Uncertain
    Gradient Lower Bounds, ICLR 2020, section 4.2.
    """
    names = tuple(curves)
    matrix: list[list[float | None]] = [[None for _ in names] for _ in names]
    points = [[0 for _ in names] for _ in names]
    for i, j in permutations(range(len(names)), 2):
        won, points[i][j] = _wins(curves[names[i]], curves[names[j]], alpha)
        if points[i][j]:
            matrix[i][j] = won / points[i][j]
    return Penalties(
        names,
        tuple(map(tuple, matrix)),
        tuple(map(tuple, points)),
        tuple(mean_and_spread(c)[0] for c in zip(*matrix, strict=True)),
    )


def _wins(
    ones: Mapping[int, Curve], others: Mapping[int, Curve], alpha: float
) -> tuple[int, int]:
    """Count the points at which the first wins, and those tested."""
    length = max(map(len, (*ones.values(), *others.values())), default=0)
    tests = [
        paired_test(
            *(
                {
                    seed: one[at]
                    for seed, one in curves.items()
                    if at < len(one)
                }
                for curves in (ones, others)
            )
        )
        for at in range(length)
    ]
    known = [test for test in tests if test.pairs >= FEWEST_PAIRS]
    won = [
        test
        for test in known
        if (test.difference or 0) > 0 and test.p is not None and test.p < alpha
    ]
    return len(won), len(known)


def first_reaching(values: Curve, wanted: float) -> int | None:
    """Find the first point at which a curve is as high as wanted, if any."""
    high = (v is not None and v >= wanted for v in values)
    return next((at for at, reached in enumerate(high) if reached), None)
