"""Read the cost table of a config or of a command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segal.active.units.costs import DEFAULT_UNIT, Costs
from segal.config.keys import CostTable
from segal.config.values import checked
from segal.errors import ConfigError, short

SECTION = 'active_learning.costs'


def read_costs(written: Any, where: str = SECTION) -> Costs:
    """Read a cost table.

    Args:
        written: Name -> price, and ``unit``; None for the defaults.
        where: Its name in errors.

    Raises:
        ConfigError: Everything that is wrong with it, at once.
    """
    if written is None:
        return Costs()
    if not isinstance(written, Mapping):
        raise ConfigError([f'{where}: wanted a dict; got {short(written)}'])
    table, problems = checked(CostTable, written, where)
    problems = [*sorted(problems), *foreign_prices(written, where)]
    if problems:
        raise ConfigError(problems)
    return Costs(**dict(table))


def foreign_prices(written: Mapping[str, Any], where: str) -> list[str]:
    """Find default prices, which are in seconds, beside another unit."""
    unit = written.get('unit', DEFAULT_UNIT)
    lacks = [name for name in ('pixel', 'image') if name not in written]
    if unit == DEFAULT_UNIT or not lacks:
        return []
    return [
        f'{where}.{name}: required with unit={short(unit)}, since the default '
        f'is in {DEFAULT_UNIT}; got nothing'
        for name in lacks
    ]


def parse_costs(text: str) -> Costs:
    """Read the cost table of ``--costs``.

    Args:
        text: ``clicks:pixel=1,image=90``; without a unit, seconds.

    Raises:
        ConfigError: Everything that is wrong with it, at once.
    """
    unit, colon, prices = text.rpartition(':')
    written: dict[str, Any] = {'unit': unit} if colon else {}
    for part in prices.split(','):
        name, equals, price = part.partition('=')
        if not equals:
            raise ConfigError(
                f'--costs: wanted UNIT:NAME=PRICE,..., got {text!r}'
            )
        try:
            written[name.strip()] = float(price)
        except ValueError:
            written[name.strip()] = price
    return read_costs(written, '--costs')
