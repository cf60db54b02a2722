"""Read budgets, their prices, and the sections that spend them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from segal.active.units import unit_named
from segal.active.units.costs import Costs, exact
from segal.active.units.spending import Spending
from segal.config import parts
from segal.config.costs import SECTION, foreign_prices
from segal.config.schema import Mixed
from segal.config.values import Values
from segal.errors import short
from segal.openmmlab import pipelines
from segal.structures import Budget, Unit

_SETTINGS = 'active_learning.settings.'


def read_cost_table(values: Values) -> Costs:
    """Read the cost table; the default one where something is wrong."""
    written = values.find(SECTION)[1]
    if isinstance(written, Mapping):
        values.problems += foreign_prices(written, SECTION)
    return Costs(**dict(values[SECTION]))


def read_budgets(
    values: Values, unit: Unit, costs: Costs, asks: bool
) -> tuple[Budget | None, Budget | None, Spending | None]:
    """Read the budgets of the initial labels and of each query.

    Whole images that are trained on once, without a query (full
    supervision), need no budget for one.
    """
    kind, where = unit_named(unit), f'{_SETTINGS}{unit}.'
    names = ('query_size', 'budget_per_round', 'cost_per_round')
    given = {
        name: values[where + name]
        for name in names
        if values[where + name] is not None
    }
    if len(given) > 1:
        first, *others = given
        rest = 'one of the two' if len(given) == 2 else 'all but one'
        values.problems.append(
            f'{where}{first}: not together with {" and ".join(others)}; '
            f'got {" and ".join(map(short, given.values()))}. Leave '
            f'{rest} out'
        )
    if kind.whole and not (given or asks):
        once = values[where + 'initial_pool']
        given = {} if once is None else {'query_size': once}
    if not given:
        if not any(values.find(where + name)[0] for name in names):
            values.problems.append(
                f'{where}query_size: required, or budget_per_round, or '
                'cost_per_round; got none of them'
            )
        return None, None, None
    first_name = kind.first_key
    initial = values[where + first_name]
    key, amount = next(iter(given.items()))
    spending = None
    if key == 'cost_per_round':
        spending = _spending(values, unit, amount, costs, initial is not None)
        if spending is None:
            return None, None, None
        amount = spending.count([], 0)
    per_image = not kind.whole and key == 'query_size'
    if initial is None:
        initial = amount
    if initial == 0 and not _has_source(values):
        values.problems.append(
            f'{where}{first_name}: wanted 1 or more, since data.train '
            'has no labelled source beside the pool; got 0, and the '
            'first phase would train on nothing'
        )
    counted = values[f'{_SETTINGS}region.budget_unit']
    if kind.grouped and counted is not None:
        _check_amounts(values, where, first_name, initial, amount, counted)
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
    values: Values,
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
        values.problems.append(f'{where}{key}: wanted {wanted}; got {number}')


def _spending(
    values: Values, unit: Unit, amount: float, costs: Costs, counted: bool
) -> Spending | None:
    """Read a budget in cost; its prices become part of the experiment."""
    answer: Any = values.find(f'{_SETTINGS}region.answer')[1] or 'all'
    spending = Spending(amount, costs, unit, first=int(counted), answer=answer)
    if not spending.price:
        values.problems.append(
            f'{SECTION}.{unit}: wanted a price above 0, since '
            f'{_SETTINGS}{unit}.cost_per_round is spent at it; got 0'
        )
        return None
    if not spending.count([], 1):
        values.problems.append(
            f'{_SETTINGS}{unit}.cost_per_round: wanted '
            f'{float(spending.dearest):g} {costs.unit} or more, the price '
            f'of one {unit} in an image that is opened for it; got '
            f'{amount:g}'
        )
        return None
    values.cfg.active_learning.costs = asdict(costs)
    return spending


def read_mixed(
    values: Values,
    unit: Unit,
    inside: Budget,
    paid: Spending | None,
    costs: Costs,
    features: dict[str, Any] | None,
) -> Mixed | None:
    """Read the images to open, and the split of the budget inside."""
    where, split = f'{_SETTINGS}mixed.', values[f'{_SETTINGS}mixed.split']
    _, images, spending = read_budgets(values, 'image', costs, asks=True)
    for name, spent in ((unit, paid), ('image', spending)):
        if spent is not None:
            values.problems.append(
                f'{_SETTINGS}{name}.cost_per_round: not together with '
                f"runner.sample_mode='mixed'; got {spent.amount:g}. Write "
                'budget_per_round'
            )
    initial = values[f'{_SETTINGS}image.initial_pool']
    first_pixels = values[where + 'first_pixels']
    if split != 'even' and (inside.per_image or inside.percent):
        values.problems.append(
            f'{where}split: {split!r} splits a count over the whole '
            'pool; write budget_per_round inside, not per cent'
        )
    by_cost = split == 'score_per_cost'
    part = values[where + 'selector']
    opening = float(exact(costs.open) / exact(costs.pixel or 1))
    if by_cost:
        if first_pixels is None or values[where + 'inside'] != 'pixel':
            values.problems.append(
                f"{where}split: 'score_per_cost' buys first_pixels in "
                'each image that it opens; got '
                f'first_pixels={first_pixels}, '
                f'inside={values[where + "inside"]!r}'
            )
            return None
        if part is not None:
            values.problems.append(
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
    selector = values.keep(
        parts.resolve_selector(part, 'image', True, None, aggregate, features)
    )
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


def read_shape(values: Values, chosen: dict[str, Any]) -> dict[str, Any]:
    """Read the shape of regions, and complete the options of selectors."""
    where = f'{_SETTINGS}region.'
    shape = values.keep(parts.resolve_shape(values[where + 'shape']))
    if values[where + 'answer'] == 'dominant' and (
        values[where + 'budget_unit'] != 'regions'
    ):
        values.problems.append(
            f"{where}answer: 'dominant' is one answer a region; got "
            f'budget_unit={values[where + "budget_unit"]!r}. Count the '
            "budget in regions (budget_unit='regions')"
        )
    written = values.find(where + 'aggregate')[0]
    for first in ('', 'initial_'):
        selector = chosen[f'{first}selector']
        selector.setdefault('answer', values[where + 'answer'])
        draws = parts.is_draw(chosen[f'{first}heuristic'])
        if draws and (first or not written):
            selector['aggregate'] = 'one'
    return shape


def _has_source(values: Values) -> bool:
    """Check for a train entry beside that of the pool."""
    return len(pipelines.entries(values.find('data.train')[1])) > 1


def check_sources(values: Values, unit: Unit | None) -> list[str]:
    """Check the training of labelled sources beside the pool.

    Returns:
        Notes.
    """
    sources = values.keys.active_learning.sources
    where = 'active_learning.sources.'
    if not _has_source(values):
        values.problems += [
            f'{where}{name}: wanted a labelled source in data.train beside '
            f'the pool; got none, and {value} here. Leave it out, or write '
            'data.train as a list of both'
            for name, value in vars(sources).items()
            if value is not None
        ]
        return []
    there, batch = values.find('data.train_dataloader.samples_per_gpu')
    if not there:
        batch = values.find('data.samples_per_gpu')[1]
    count = sources.per_batch
    if count and isinstance(batch, int) and count >= batch > 0:
        values.problems.append(
            f'{where}per_batch: wanted less than the {batch} of '
            'data.samples_per_gpu, so that images of the pool fit into a '
            f'batch, too; got {count}'
        )
    whole = unit and unit_named(unit).whole
    if sources.loss_weight is not None or whole:
        return []
    return [
        f'{where}loss_weight: not given, so the loss is one mean over all '
        'labelled pixels, of which a source image has more than the pool '
        'gets in all; 1 weighs both the same'
    ]


def _region_budget(amount: float, per_image: bool, counted: str) -> Budget:
    if counted == 'percent':
        return Budget(0, per_image, percent=float(amount))
    return Budget(int(amount), per_image, in_pixels=counted == 'pixels')
