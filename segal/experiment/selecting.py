"""Build selectors and query units from a config."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmcv.utils import build_from_cfg

from segal.active.dataset.pool import Pool
from segal.active.label_store.store import LabelStore
from segal.active.opening import Opening
from segal.active.oracles import BaseOracle
from segal.active.selectors import (
    BaseSelector,
    QueryContext,
    SelectorFactory,
)
from segal.active.units import QueryUnit
from segal.active.units.spending import Spending
from segal.annotation.human_oracle import DrawnAnswers, HumanOracle
from segal.config.schema import ActiveLearningConfig
from segal.errors import ConfigError, SegALError
from segal.experiment.data import Data
from segal.openmmlab.built import not_built
from segal.registry import ORACLES, SELECTORS, UNITS
from segal.structures import Budget


@dataclass(frozen=True)
class ConfiguredSelector:
    """Builds the selector that a config names; a ``SelectorFactory``.

    Attributes:
        part: For SELECTORS.
        budget: Of a round, where it is a count.
        unit: What is asked; None: what ``part`` asks.
        shuffle_prop: Share of random picks.
        spending: The budget of a round in cost, in place of ``budget``.
        store: What was asked so far; None where that is nothing.
    """

    part: dict[str, Any]
    budget: Budget
    unit: QueryUnit | None = None
    shuffle_prop: float = 0.0
    spending: Spending | None = None
    store: LabelStore | None = None

    def __call__(self, context: QueryContext) -> BaseSelector:
        """Build the selector of one round."""
        return SELECTORS.build(
            dict(
                self.part,
                context=replace(
                    context,
                    budget=context.budget or self._budget(context),
                    shuffle_prop=self.shuffle_prop,
                    unit=self.unit,
                ),
            )
        )

    def _budget(self, context: QueryContext) -> Budget:
        """Return the budget of a round; one in cost is turned into a count."""
        if self.spending is None:
            return self.budget
        fresh = context.free > 0  # (P,)
        if context.opened is not None:
            fresh &= ~context.opened
        store, files = self.store, range(context.round)
        earlier = [store.asked(k) for k in files] if store else []
        count = self.spending.count(earlier, int(fresh.sum()))
        return Budget(count, False)


def selectors_of(
    config: ActiveLearningConfig,
    unit: QueryUnit,
    store: LabelStore | None,
) -> tuple[SelectorFactory, SelectorFactory]:
    """Build the factories for the initial draw and for queries.

    Args:
        config: What the user wrote, read.
        unit: What is asked.
        store: What was asked so far; None where that is nothing.
    """
    spending = config.spending
    return (
        ConfiguredSelector(
            config.initial_selector,
            config.initial,
            unit,
            spending=spending if spending and not spending.first else None,
            store=store,
        ),
        ConfiguredSelector(
            config.selector,
            config.budget,
            unit,
            config.keys.shuffle_prop,
            spending,
            store,
        ),
    )


def openings_of(
    config: ActiveLearningConfig,
) -> tuple[Opening | None, Opening | None]:
    """Build the openings of the initial draw and of queries, if any."""
    mixed = config.mixed
    if mixed is None:
        return None, None

    def opener(part: dict[str, Any], images: int) -> SelectorFactory:
        return ConfiguredSelector(part, Budget(images, False))

    return (
        Opening(
            opener(mixed.initial_selector, mixed.initial),
            mixed.initial,
            config.initial,
        ),
        Opening(
            opener(mixed.selector, mixed.images),
            mixed.images,
            config.budget,
            mixed.split,
            mixed.first_pixels,
            mixed.opening_pixels,
        ),
    )


def unit_of_config(
    config: ActiveLearningConfig, pool: Pool, cache: Path
) -> QueryUnit:
    """Build the unit that queries ask for.

    Raises:
        ConfigError: An option of a region has no meaning.
    """
    if config.shape is None:
        return config.asks
    return shape_of(config.shape, pool, cache).answered(config.asks.answer)


def shape_of(part: Mapping[str, Any], pool: Pool, cache: Path) -> QueryUnit:
    """Build a region, as a config names it.

    Raises:
        ConfigError: One of its options has no meaning.
    """
    given = {}
    if UNITS.get(part['type']).reads_images:
        views = pool.display_fingerprint()
        given = dict(
            read_image=pool.read_image, file=pool.file, cache=cache / views
        )
    try:
        return build_from_cfg(dict(part), UNITS, given)
    except SegALError:
        raise
    except Exception as error:
        raise ConfigError(
            not_built('active_learning.settings.region.shape', part, error)
        ) from error


def build_oracle(
    config: ActiveLearningConfig, data: Data, work_dir: Path, smoke: bool
) -> BaseOracle:
    """Build the oracle, with those of the run's arguments that it takes.

    Raises:
        ConfigError: An option is none, or does not go with the query unit.
    """
    given: dict[str, Any] = dict(
        read=data.annotation,
        pool=data.pool.images,
        file=data.pool.file,
        classes=data.classes,
        ignore_index=config.ignore_index,
        work_dir=work_dir,
        seed=config.seed,
    )
    part = dict(config.oracle)
    kind: Any = part['type']
    kind = ORACLES.get(kind) if isinstance(kind, str) else kind
    if smoke and issubclass(kind, HumanOracle):
        return DrawnAnswers(data.pool.images, data.classes, config.seed)
    suggest = part.get('suggest', 'none')
    if issubclass(kind, HumanOracle) and suggest != 'none':
        asks, answer = config.asks, config.selector.get('answer', 'all')
        if asks.whole or (asks.grouped and answer == 'all'):
            raise ConfigError(
                "active_learning.oracle.suggest: wanted 'none' where people "
                f'paint a class for each pixel, got {suggest!r}: predictions '
                'are kept for each item, not for each pixel; ask regions with '
                "answer='dominant', or pixels"
            )
    taken = inspect.signature(kind).parameters
    if not any(x.kind is x.VAR_KEYWORD for x in taken.values()):
        given = {key: value for key, value in given.items() if key in taken}
    return build_from_cfg(part, ORACLES, given)  # type: ignore[no-any-return]
