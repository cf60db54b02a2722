"""Extrapolate a learning curve, with the spread of what may come.

Pure functions of numbers: no torch, no SciPy, no file, and the same result
each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEWEST = 3
"""Rounds with different budgets that an extrapolation needs."""

LEVEL = 80
"""Per cent of the interval that is printed."""

SHAPES = (0.5, 1.0, 2.0, 4.0)
"""Exponents of the power law, all as likely before a curve is seen."""

SLOPE = (5.0, 10.0)
"""Mean and standard deviation of the slope at the first round, before a curve
is seen: points of mIoU for e (2.7) times the labels."""

NOISE = (0.8, 0.6)
"""Median of the noise of a round in points of mIoU, and the standard deviation
of its logarithm, before a curve is seen."""

DRIFTS = (0.0, 0.5, 1.0, 2.0)
"""Steps of a random walk of the level from round to round, as parts of the
noise, all as likely before a curve is seen: what a round changes for good."""

FREEDOM = 4
"""Degrees of freedom of the noise, Student's t: outliers are expected."""

DRAWS = 4000
_SIGMAS = 25
_PASSES = 4


@dataclass(frozen=True)
class Forecast:
    """What a curve may come to at some budgets.

    Attributes:
        draws: float64 (DRAWS, K), equally likely values at K budgets.
    """

    draws: NDArray[np.float64]

    @property
    def expected(self) -> NDArray[np.float64]:
        """The mean at each budget, (K,)."""
        return np.asarray(self.draws.mean(0))

    def interval(
        self, level: float = LEVEL
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return low and high, (K,) each, of an interval in per cent."""
        tail = (100 - level) / 2
        low, high = np.percentile(self.draws, (tail, 100 - tail), axis=0)
        return low, high


def extrapolate(
    budgets: Sequence[float],
    values: Sequence[float | None],
    ahead: Sequence[float],
    fewest: int = FEWEST,
) -> Forecast | None:
    """Extrapolate a learning curve.

    The curve is a power law ``a - b * budget ** -c``, and a random walk from
    round to round, since what a round changes stays. Level and slope are
    integrated in closed form; exponent, walk and noise over a grid. So the
    interval holds that none of them is known, and that the next round has
    noise, too. A round far off the rest has less weight (Student's t).

    Args:
        budgets: Labels asked until each round, rising or equal, (N,).
        values: mIoU of each round in per cent; None where there is none.
        ahead: Budgets of the next rounds, in their order, (K,).
        fewest: Different budgets that are needed, 2 or more.

    Returns:
        None where fewer than ``fewest`` different budgets have a value.
    """
    known = [
        (budget, value)
        for budget, value in zip(budgets, values, strict=True)
        if value is not None and np.isfinite(value) and budget > 0
    ]
    if len({budget for budget, _ in known}) < fewest:
        return None
    at, y = np.array(known, np.float64).T  # (N,) each
    first = at.min()
    far = np.log(np.asarray(ahead, np.float64) / first)  # (K,)
    return Forecast(_Posterior(np.log(at / first), y).draw(far))


def _bend(far: NDArray[np.float64], shape: float) -> NDArray[np.float64]:
    """Bend the logarithm of budgets into a power law of slope 1 at 0."""
    return np.asarray(-np.expm1(-shape * far) / shape)


class _Posterior:
    """Exponent, drift and noise on a grid; slope and level in closed form."""

    def __init__(
        self, far: NDArray[np.float64], y: NDArray[np.float64]
    ) -> None:
        self.y = y
        self.bent = np.array([_bend(far, shape) for shape in SHAPES])
        self.walk = _walk(len(y), len(y))
        spread = np.linspace(-3, 3, _SIGMAS)
        self.sigma = NOISE[0] * np.exp(NOISE[1] * spread)  # (G,)
        self.prior = -0.5 * spread**2
        self.weights = np.ones(len(y))
        self._solve()
        for _ in range(_PASSES):
            self._reweigh()
            self._solve()

    def _solve(self) -> None:
        """Compute slope, level and odds; (S, R, G) over the grid."""
        y, f = self.y, self.bent
        squares = np.square(DRIFTS)[:, None, None]
        cov = np.diag(1 / self.weights) + squares * self.walk
        self.inverse = np.linalg.inv(cov)  # (R, N, N)
        ones = self.inverse.sum(-1)  # (R, N)
        self.total = ones.sum(-1)  # (R,)
        self.centre = f @ ones.T / self.total  # (S, R)
        self.middle = ones @ y / self.total  # (R,)
        self.f = f[:, None] - self.centre[..., None]  # (S, R, N)
        self.rest = y - self.middle[:, None]  # (R, N)
        by = np.einsum('rnm,srm->srn', self.inverse, self.f)
        ff = (by * self.f).sum(-1)[..., None]  # (S, R, 1)
        fy = (by * self.rest).sum(-1)[..., None]
        yy = np.einsum('rn,rnm,rm->r', self.rest, self.inverse, self.rest)
        mean, deviation = SLOPE
        var = self.sigma**2  # (G,)
        precision = ff / var + deviation**-2  # (S, R, G)
        pull = fy / var + mean * deviation**-2
        self.slope, self.slope_sd = pull / precision, precision**-0.5
        volume = np.linalg.slogdet(cov)[1] + np.log(self.total)  # (R,)
        fit = (
            0.5 * (pull**2 / precision - np.log(precision))
            - 0.5 * (yy[:, None] / var + volume[:, None])
            - (len(y) - 1) * np.log(self.sigma)
            + self.prior
        )
        odds = np.exp(fit - fit.max())
        self.odds = odds / odds.sum()

    def _reweigh(self) -> None:
        """Weigh rounds by how far they lie off curve and drift."""
        off = (
            self.rest[:, None] - self.slope[..., None] * self.f[:, :, None]
        )  # (S, R, G, N)
        noise = np.einsum('rnm,srgm->srgn', self.inverse, off) / self.weights
        scaled = noise / self.sigma[:, None]
        weight = (FREEDOM + 1) / (FREEDOM + scaled**2)
        self.weights = np.einsum('srg,srgn->n', self.odds, weight)
        self.weights[-1] = 1  # a slip or a step? only the next round tells

    def draw(self, far: NDArray[np.float64]) -> NDArray[np.float64]:
        """Draw values of the next rounds; float64 (DRAWS, K)."""
        rng, ahead, before = np.random.default_rng(0), len(far), len(self.y)
        picks = rng.choice(self.odds.size, DRAWS, p=self.odds.ravel())
        s, r, g = np.unravel_index(picks, self.odds.shape)
        sigma = self.sigma[g]
        slope = self.slope[s, r, g] + (
            rng.standard_normal(DRAWS) * self.slope_sd[s, r, g]
        )
        shift = rng.standard_normal(DRAWS) * sigma * self.total[r] ** -0.5
        off = self.rest[r] - slope[:, None] * self.f[s, r] - shift[:, None]
        bent = np.array([_bend(far, one) for one in SHAPES])  # (S, K)
        line = slope[:, None] * (bent[s] - self.centre[s, r][:, None])
        squares = np.square(DRIFTS)[:, None, None]
        reach = squares * _walk(ahead, before, before)  # (R, K, N)
        gain = reach @ self.inverse  # (R, K, N)
        cov = squares * _walk(ahead, ahead, before, before)
        cov = cov - gain @ np.swapaxes(reach, 1, 2) + 1e-12 * np.eye(ahead)
        root = np.linalg.cholesky(cov)[r]  # (DRAWS, K, K)
        drift = np.einsum('dkn,dn->dk', gain[r], off)
        normal, chance = (
            rng.standard_normal((DRAWS, ahead)),
            rng.standard_t(FREEDOM, (DRAWS, ahead)),
        )
        drift += sigma[:, None] * np.einsum('dkj,dj->dk', root, normal)
        level = self.middle[r] + shift
        return level[:, None] + line + drift + chance * sigma[:, None]


def _walk(
    rows: int, columns: int, after: int = 0, other: int = 0
) -> NDArray[np.float64]:
    """Covariance of a random walk with a step a round, (rows, columns)."""
    one = np.arange(rows) + after
    return np.minimum.outer(one, np.arange(columns) + other).astype(float)
