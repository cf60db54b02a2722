"""What may be asked: budgets, their costs, and what they are spent on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segal.active.units import unit_named
from segal.active.units.costs import Costs, exact
from segal.active.units.spending import Spending
from segal.config import parts
from segal.config.costs import SECTION, foreign_prices, written_costs
from segal.config.keys import CostTable
from segal.config.schema import Mixed
from segal.config.values import Values
from segal.errors import short
from segal.openmmlab import pipelines
from segal.structures import Budget, Unit

_SETTINGS = 'active_learning.settings.'


class Budgets:
    """Reads the sections of ``settings``, and of ``costs``.

    Args:
        values: Of all keys; problems are added to theirs.
    """

    def __init__(self, values: Values) -> None:
        self.values = values
        self.problems = values.problems

    def costs(self) -> Costs:
        """Read the cost table; the default one where something is wrong."""
        written = self.values.find(SECTION)[1]
        if isinstance(written, Mapping):
            self.problems += foreign_prices(written, SECTION)
        return Costs(
            **{
                name: self.values[f'{SECTION}.{name}']
                for name in CostTable.model_fields
            }
        )

    def budgets(
        self, unit: Unit, costs: Costs, asks: bool
    ) -> tuple[Budget | None, Budget | None, Spending | None]:
        """Read what is asked before the first phase, and by each query.

        Whole images that are trained on once, without a query (full
        supervision), need no budget for one.
        """
        values, kind = self.values, unit_named(unit)
        where = f'{_SETTINGS}{unit}.'
        names = ('query_size', 'budget_per_round', 'cost_per_round')
        given = {
            name: values[where + name]
            for name in names
            if values[where + name] is not None
        }
        if len(given) > 1:
            first, *others = given
            rest = 'one of the two' if len(given) == 2 else 'all but one'
            self.problems.append(
                f'{where}{first}: not together with {" and ".join(others)}; '
                f'got {" and ".join(map(short, given.values()))}. Leave '
                f'{rest} out'
            )
        if kind.whole and not (given or asks):
            once = values[where + 'initial_pool']
            given = {} if once is None else {'query_size': once}
        if not given:
            if not any(self.values.find(where + name)[0] for name in names):
                self.problems.append(
                    f'{where}query_size: required, or budget_per_round, or '
                    'cost_per_round; got none of them'
                )
            return None, None, None
        first_name = kind.first_key
        initial = values[where + first_name]
        key, amount = next(iter(given.items()))
        spending = None
        if key == 'cost_per_round':
            spending = self._spending(unit, amount, costs, initial is not None)
            if spending is None:
                return None, None, None
            amount = spending.count([], 0)
        per_image = not kind.whole and key == 'query_size'
        if initial is None:
            initial = amount
        if initial == 0 and not self.has_source():
            self.problems.append(
                f'{where}{first_name}: wanted 1 or more, since data.train '
                'has no labelled source beside the pool; got 0, and the '
                'first phase would train on nothing'
            )
        counted = values[f'{_SETTINGS}region.budget_unit']
        if kind.grouped and counted is not None:
            self._check_amounts(where, first_name, initial, amount, counted)
            return (
                _region_budget(initial, per_image, counted),
                _region_budget(amount, per_image, counted),
                spending,
            )
        return (
            Budget(initial, per_image),
            Budget(amount, per_image),
            spending,
        )

    def _check_amounts(
        self,
        where: str,
        first_name: str,
        first: float,
        amount: float,
        counted: str,
    ) -> None:
        """Check that counts are whole, and per cent at most 100."""
        for key, number in (
            ('query_size, budget_per_round', amount),
            (first_name, first),
        ):
            whole_number = counted == 'percent' or number == int(number)
            if whole_number and not (counted == 'percent' and number > 100):
                continue
            wanted = (
                'at most 100 per cent'
                if counted == 'percent'
                else f'a whole number of {counted}'
            )
            self.problems.append(
                f'{where}{key}: wanted {wanted}; got {number}'
            )

    def _spending(
        self, unit: Unit, amount: float, costs: Costs, counted: bool
    ) -> Spending | None:
        """Read a budget in cost; its prices become part of the experiment.

        Args:
            unit: What is asked.
            amount: Of each round.
            costs: The prices.
            counted: Whether the initial labels have a count of their own.
        """
        answer: Any = self.values.find(f'{_SETTINGS}region.answer')[1] or 'all'
        spending = Spending(
            amount, costs, unit, first=int(counted), answer=answer
        )
        if not spending.price:
            self.problems.append(
                f'{SECTION}.{unit}: wanted a price above 0, since '
                f'{_SETTINGS}{unit}.cost_per_round is spent at it; got 0'
            )
            return None
        if not spending.count([], 1):
            self.problems.append(
                f'{_SETTINGS}{unit}.cost_per_round: wanted '
                f'{float(spending.dearest):g} {costs.unit} or more, the price '
                f'of one {unit} in an image that is opened for it; got '
                f'{amount:g}'
            )
            return None
        self.values.cfg.active_learning.costs = written_costs(costs)
        return spending

    def mixed(
        self,
        unit: Unit,
        inside: Budget,
        paid: Spending | None,
        costs: Costs,
        features: dict[str, Any] | None,
    ) -> Mixed | None:
        """Read which images are opened, and how the budget inside is split."""
        values = self.values
        where, split = f'{_SETTINGS}mixed.', values[f'{_SETTINGS}mixed.split']
        _, images, spending = self.budgets('image', costs, asks=True)
        for name, spent in ((unit, paid), ('image', spending)):
            if spent is not None:
                self.problems.append(_in_cost(name, spent))
        initial = values[f'{_SETTINGS}image.initial_pool']
        first_pixels = values[where + 'first_pixels']
        if split != 'even' and (inside.per_image or inside.percent):
            self.problems.append(
                f'{where}split: {split!r} splits a count over the whole '
                'pool; write budget_per_round inside, not per cent'
            )
        by_cost = split == 'score_per_cost'
        part = values[where + 'selector']
        opening = float(exact(costs.open) / exact(costs.pixel or 1))
        if by_cost:
            if first_pixels is None or values[where + 'inside'] != 'pixel':
                self.problems.append(
                    f"{where}split: 'score_per_cost' buys first_pixels in "
                    'each image that it opens; got '
                    f'first_pixels={first_pixels}, '
                    f'inside={values[where + "inside"]!r}'
                )
                return None
            if part is not None:
                self.problems.append(
                    f"{where}selector: not together with split='score_per_"
                    f"cost', which chooses the images itself; got {part!r}"
                )
            part = dict(
                type='ScorePerCost',
                pixels=inside.amount,
                first_pixels=first_pixels,
                opening_pixels=opening,
            )
        if images is None:
            return None
        aggregate = values[f'{_SETTINGS}image.aggregate']
        selector, problems = parts.resolve_selector(
            part, 'image', True, None, aggregate, features
        )
        self.problems += problems
        plain, _ = parts.resolve_selector(None, 'image', True, None, aggregate)
        return Mixed(
            images.amount if initial is None else initial,
            images.amount,
            split,
            first_pixels or 0,
            opening,
            selector,
            plain,
        )

    def shape(self, chosen: dict[str, Any]) -> dict[str, Any]:
        """Read the shape of regions, and complete the options of selectors.

        Args:
            chosen: The parts; selectors get ``answer`` and ``aggregate``.
        """
        values = self.values
        where = f'{_SETTINGS}region.'
        shape, problems = parts.resolve_shape(values[where + 'shape'])
        self.problems += problems
        if values[where + 'answer'] == 'dominant' and (
            values[where + 'budget_unit'] != 'regions'
        ):
            self.problems.append(
                f"{where}answer: 'dominant' is one answer a region; got "
                f'budget_unit={values[where + "budget_unit"]!r}. Count the '
                "budget in regions (budget_unit='regions')"
            )
        written = self.values.find(where + 'aggregate')[0]
        for first in ('', 'initial_'):
            selector = chosen[f'{first}selector']
            selector.setdefault('answer', values[where + 'answer'])
            draws = parts.is_draw(chosen[f'{first}heuristic'])
            if draws and (first or not written):
                selector['aggregate'] = 'one'
        return shape

    def has_source(self) -> bool:
        """Check for a train entry beside that of the pool."""
        return len(pipelines.entries(self.values.find('data.train')[1])) > 1


def _region_budget(amount: float, per_image: bool, counted: str) -> Budget:
    if counted == 'percent':
        return Budget(0, per_image, percent=float(amount))
    return Budget(int(amount), per_image, in_pixels=counted == 'pixels')


def _in_cost(unit: Unit, spending: Spending) -> str:
    """Refuse a budget in cost where images are opened."""
    return (
        f'{_SETTINGS}{unit}.cost_per_round: not together with '
        f"runner.sample_mode='mixed'; got {spending.amount:g}. Write "
        'budget_per_round'
    )
