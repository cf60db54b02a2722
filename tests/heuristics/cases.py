"""What is true of each registered heuristic beyond the common contract."""

import math
from dataclasses import dataclass, field

from scipy.stats import beta

UNIFORM = (0.25, 0.25, 0.25, 0.25)
CERTAIN = (1.0, 0.0, 0.0, 0.0)
COIN = (0.5, 0.5, 0.0, 0.0)
MIXED = (0.1, 0.6, 0.2, 0.1)


@dataclass(frozen=True)
class Case:
    """One heuristic.

    Attributes:
        by_hand: A pixel's probabilities -> its score, worked by hand.
        ranks_certainty: Whether it is highest for uniform and lowest for
            one-hot probabilities, and does not care how classes are numbered.
        half_tolerance: How far half precision may be off.
        options: Constructor arguments.
    """

    by_hand: dict[tuple[float, ...], float] = field(default_factory=dict)
    ranks_certainty: bool = True
    half_tolerance: float = 4e-3
    options: dict = field(default_factory=dict)


def binary(p):
    """The entropy of a coin."""
    return -p * math.log(p) - (1 - p) * math.log(1 - p)


def balance(mean, precision=1e6):
    """What a label would tell, of predictions that are all the same."""
    entropy = -sum(p * math.log(p) for p in mean)
    joint = sum(
        p * beta.entropy(p * precision + 1, (1 - p) * precision) for p in mean
    )
    return (joint + entropy) / (entropy + math.log(2))


CASES = {
    'Margin': Case(
        {UNIFORM: 1, CERTAIN: 0, COIN: 1, MIXED: 0.6, (0.9, 0.1): 0.2}
    ),
    'Entropy': Case(
        {
            UNIFORM: 1,
            CERTAIN: 0,
            COIN: 0.5,
            MIXED: -(
                0.2 * math.log(0.1) + 0.6 * math.log(0.6) + 0.2 * math.log(0.2)
            )
            / math.log(4),
            (0.5, 0.5): 1,
        }
    ),
    'LeastConfidence': Case(
        {UNIFORM: 0.75, CERTAIN: 0, COIN: 0.5, MIXED: 0.4, (0.9, 0.1): 0.1}
    ),
    'Ratio': Case(
        {UNIFORM: 1, CERTAIN: 0, COIN: 1, MIXED: 1 / 3, (0.9, 0.1): 1 / 9}
    ),
    'OneVsRestEntropy': Case(
        {
            UNIFORM: 1,
            CERTAIN: 0,
            COIN: 2 * binary(0.5) / (4 * binary(0.25)),
            MIXED: (2 * binary(0.1) + binary(0.6) + binary(0.2))
            / (4 * binary(0.25)),
            (0.9, 0.1): binary(0.1) / binary(0.5),
        },
        half_tolerance=8e-3,
    ),
    'PowerNoise': Case(
        ranks_certainty=False,
        half_tolerance=math.inf,  # a logarithm near 0
        options=dict(of=dict(type='Margin')),
    ),
    'SoftmaxNoise': Case(
        ranks_certainty=False,
        options=dict(of=dict(type='Margin')),
    ),
    'SoftrankNoise': Case(
        ranks_certainty=False,
        half_tolerance=math.inf,  # near ties change places
        options=dict(of=dict(type='Margin')),
    ),
    'Smoothed': Case(
        {UNIFORM: 1, MIXED: 0.6},
        ranks_certainty=False,
        options=dict(of=dict(type='Margin')),
    ),
    'Tempered': Case(
        {UNIFORM: 0.75, CERTAIN: 0, COIN: 0.5, (0.9, 0.1): 0.25},
        options=dict(of=dict(type='LeastConfidence'), temperature=2),
        half_tolerance=2e-2,
    ),
    'ClassBalanced': Case(  # of a pool where all classes are as frequent
        {UNIFORM: 1, CERTAIN: 0, COIN: 1, MIXED: 0.6},
        options=dict(of=dict(type='Margin')),
    ),
    # All stochastic predictions are the same here.
    'MeanEntropy': Case({UNIFORM: 1, CERTAIN: 0, COIN: 0.5}),
    'BALD': Case({UNIFORM: 0, COIN: 0, MIXED: 0}, ranks_certainty=False),
    'VariationRatio': Case(
        {CERTAIN: 0, MIXED: 0}, ranks_certainty=False, half_tolerance=1
    ),
    'VoteEntropy': Case(
        {CERTAIN: 0, MIXED: 0}, ranks_certainty=False, half_tolerance=1
    ),
    'OutputDiscrepancy': Case(
        {UNIFORM: 0, CERTAIN: 0, MIXED: 0}, ranks_certainty=False
    ),
    'BalEnt': Case(
        {
            UNIFORM: balance(4 * [1 / 4]),
            COIN: balance([0.5, 0.5, 1e-6, 1e-6]),
            MIXED: balance(MIXED),
        },
        half_tolerance=math.inf,  # logarithms near 0
    ),
    'ExpectedGradientLength': Case(
        {
            UNIFORM: math.sqrt(3 / 4),
            CERTAIN: 0,
            COIN: math.sqrt(1 / 2),
            MIXED: 0.6 * math.sqrt(0.22)
            + 0.2 * math.sqrt(1.02)
            + 0.2 * math.sqrt(1.22),
        },
        half_tolerance=8e-3,
    ),
    # One class all over the image: nothing is impure.
    'RIPU': Case(
        {UNIFORM: 0, CERTAIN: 0, MIXED: 0},
        ranks_certainty=False,
        half_tolerance=0.2,  # a near tie may go to another class
    ),
    'RegionImpurity': Case(
        {UNIFORM: 0, CERTAIN: 0, MIXED: 0},
        ranks_certainty=False,
        half_tolerance=math.inf,  # a near tie may go to another class
    ),
    'ClassAwareRandom': Case(
        ranks_certainty=False,
        half_tolerance=math.inf,  # the same, and counts are whole numbers
    ),
    'Random': Case(ranks_certainty=False),
}
