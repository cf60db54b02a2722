"""Turn a budget in cost into a number of requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor

from segal.active.units.costs import Asked, Costs, exact
from segal.active.units.named import unit_named
from segal.structures import Answer, Unit


@dataclass(frozen=True)
class Spending:
    """A budget in cost, the same for each round.

    What a round leaves unspent is carried over to the next: the first k files
    that the budget pays for may cost k times ``amount`` together. What is
    left follows from the label files, so a resumed run computes the same.

    The number of requests is computed before the round is scored. They never
    cost more than what is left. Where opening an image has a price, it is
    reserved for as many images as the requests could open; what is not used
    of it is carried over as well.

    Attributes:
        amount: Of each round, in the unit of ``costs``; above 0.
        costs: The prices.
        unit: Name of what is asked. Each must cost the same: a region needs
            a price of its own, or the answer ``'dominant'``.
        first: The first label file that it pays for: 0, or 1 where the
            initial labels have a count of their own.
        answer: What is said of a region.
    """

    amount: float
    costs: Costs
    unit: Unit
    first: int = 0
    answer: Answer = 'all'

    @property
    def price(self) -> Fraction:
        """The price of one request, without opening its image."""
        return unit_named(self.unit, self.answer).price(self.costs)

    @property
    def dearest(self) -> Fraction:
        """The price of one request that opens its image."""
        return self.price + exact(self.costs.open)

    def left(self, earlier: Sequence[Asked]) -> Fraction:
        """Compute what the next label file may cost.

        Args:
            earlier: What each label file so far asked, in order.
        """
        paid = earlier[self.first :]
        files = max(0, len(earlier) - self.first) + 1
        spent = sum((self.costs.of(asked) for asked in paid), Fraction())
        return files * exact(self.amount) - spent

    def count(self, earlier: Sequence[Asked], unopened: int) -> int:
        """Count the requests that the next label file may hold.

        Args:
            earlier: What each label file so far asked, in order.
            unopened: Images that can be asked and were not opened yet.

        Returns:
            The most that cost no more than what is left, whichever images
            they are in; where that is less than nothing, 0.
        """
        left, opening = self.left(earlier), exact(self.costs.open)
        count = floor(left / self.dearest)
        if count >= unopened:
            count = floor((left - unopened * opening) / self.price)
        return max(0, count)
