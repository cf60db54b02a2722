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

SHAPES = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Exponents of the power law, all as likely before a curve is seen."""

SLOPE = (5.0, 5.0)
"""Mean and standard deviation of the slope at the first round, before a curve
is seen: points of mIoU for e (2.7) times the labels."""

NOISE = (1.0, 0.5)
"""Median of the noise of a round in points of mIoU, and the standard deviation
of its logarithm, before a curve is seen."""

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
) -> Forecast | None:
    """Extrapolate a learning curve.

    The curve is a power law ``a - b * budget ** -c``, with the logarithm as
    its limit at c = 0. Level and slope are integrated in closed form, the
    exponent and the noise over a grid; so the interval holds that shape,
    slope and noise are not known, and that the next round has noise, too. A
    round far off the curve has less weight (Student's t).

    Args:
        budgets: Labels asked until each round, rising or equal, (N,).
        values: mIoU of each round in per cent; None where there is none.
        ahead: Budgets to extrapolate to, (K,).

    Returns:
        None where fewer than ``FEWEST`` different budgets have a value.
    """
    known = [
        (budget, value)
        for budget, value in zip(budgets, values, strict=True)
        if value is not None and np.isfinite(value) and budget > 0
    ]
    if len({budget for budget, _ in known}) < FEWEST:
        return None
    at, y = np.array(known, np.float64).T  # (N,) each
    first = at.min()
    far = np.log(np.asarray(ahead, np.float64) / first)  # (K,)
    posterior = _Posterior(np.log(at / first), y)
    for _ in range(_PASSES):
        posterior.reweigh()
    return Forecast(posterior.draw(far))


def _bend(far: NDArray[np.float64], shape: float) -> NDArray[np.float64]:
    """Bend the logarithm of budgets into a power law of slope 1 at 0."""
    return far if shape == 0 else -np.expm1(-shape * far) / shape


class _Posterior:
    """Exponent and noise on a grid, slope and level in closed form."""

    def __init__(
        self, far: NDArray[np.float64], y: NDArray[np.float64]
    ) -> None:
        self.y = y
        self.bent = np.array([_bend(far, shape) for shape in SHAPES])
        self.weights = np.ones(len(y))
        spread = np.linspace(-3, 3, _SIGMAS)
        self.sigma = NOISE[0] * np.exp(NOISE[1] * spread)  # (G,)
        self.prior = -0.5 * spread**2
        self._solve()

    def _solve(self) -> None:
        """Compute slope and likelihood for each exponent and noise."""
        w, total = self.weights, self.weights.sum()
        self.total = total
        self.centre = self.bent @ w / total  # (S,)
        self.level = float(self.y @ w / total)
        f = self.bent - self.centre[:, None]  # (S, N)
        y = self.y - self.level
        ff, fy = (f * f) @ w, (f * y) @ w  # (S,)
        mean, deviation = SLOPE
        var = self.sigma**2  # (G,)
        precision = ff[:, None] / var + deviation**-2  # (S, G)
        pull = fy[:, None] / var + mean * deviation**-2
        self.slope, self.slope_sd = pull / precision, precision**-0.5
        fit = (
            -0.5 * ((y * y) @ w) / var
            + 0.5 * pull**2 / precision
            - 0.5 * np.log(precision)
            - (len(y) - 1) * np.log(self.sigma)
            + self.prior
        )
        odds = np.exp(fit - fit.max())
        self.odds = odds / odds.sum()  # (S, G)

    def reweigh(self) -> None:
        """Weigh rounds by how far they lie off the curve, and solve again."""
        lines = (
            self.level
            + self.slope[..., None]
            * (self.bent - self.centre[:, None])[:, None]
        )  # (S, G, N)
        off = (self.y - lines) / self.sigma[:, None]
        weight = (FREEDOM + 1) / (FREEDOM + off**2)
        self.weights = np.einsum('sg,sgn->n', self.odds, weight)
        self._solve()

    def draw(self, far: NDArray[np.float64]) -> NDArray[np.float64]:
        """Draw values at budgets; float64 (DRAWS, K)."""
        rng = np.random.default_rng(0)
        picks = rng.choice(self.odds.size, DRAWS, p=self.odds.ravel())
        shape, noise = np.unravel_index(picks, self.odds.shape)
        sigma = self.sigma[noise]
        normal = rng.standard_normal((2, DRAWS))
        slope = self.slope[shape, noise] + (
            normal[0] * self.slope_sd[shape, noise]
        )
        level = self.level + normal[1] * sigma * self.total**-0.5
        bent = np.array([_bend(far, one) for one in SHAPES])  # (S, K)
        line = (bent - self.centre[:, None])[shape]  # (DRAWS, K)
        chance = rng.standard_t(FREEDOM, (DRAWS, len(far)))
        return level[:, None] + slope[:, None] * line + chance * sigma[:, None]
