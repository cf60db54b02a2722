"""What is true of each registered heuristic beyond the common contract."""

import math
from dataclasses import dataclass, field

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
    'Random': Case(ranks_certainty=False),
}
