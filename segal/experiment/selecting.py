"""What spends budgets, built from a config."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from mmcv.utils import build_from_cfg

from segal.active.active_loop import SelectorFactory
from segal.active.dataset.pool import Pool
from segal.active.label_store.store import LabelStore
from segal.active.opening import Opening
from segal.active.selectors import BaseSelector
from segal.active.units.regions import RegionShape
from segal.active.units.spending import Spending
from segal.config.schema import ActiveLearningConfig
from segal.errors import ConfigError, SegALError
from segal.openmmlab.built import not_built
from segal.registry import REGIONS, SELECTORS
from segal.structures import Budget


def selectors_of(
    config: ActiveLearningConfig,
    shape: RegionShape | None,
    store: LabelStore | None,
) -> tuple[SelectorFactory, SelectorFactory]:
    """What builds the selector of the initial draw, and that of a query.

    Args:
        config: What the user wrote, read.
        shape: Of regions.
        store: What was asked so far; None where that is nothing.
    """
    seed, spending = config.seed, config.spending
    given = {} if shape is None else dict(shape=shape)
    paid = spending if spending and not spending.first else None
    return (
        partial(
            _selector,
            {**config.initial_selector, **given},
            config.initial,
            paid,
            store,
            seed,
            0.0,
        ),
        partial(
            _selector,
            {**config.selector, **given},
            config.budget,
            spending,
            store,
            seed,
            config.shuffle_prop,
        ),
    )


def openings_of(
    config: ActiveLearningConfig,
) -> tuple[Opening | None, Opening | None]:
    """Which images the initial draw opens, and a query; None: all are."""
    mixed = config.mixed
    if mixed is None:
        return None, None

    def opener(part: dict[str, Any], images: int) -> SelectorFactory:
        budget = Budget(images, False)
        return partial(_selector, part, budget, None, None, config.seed, 0.0)

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


def shape_of(
    part: Mapping[str, Any] | None, pool: Pool, cache: Path
) -> RegionShape | None:
    """The shape of regions; None where none are asked.

    Args:
        part: As in a config.
        pool: The images.
        cache: Folder for what is computed once for each image.

    Raises:
        ConfigError: One of its options has no meaning.
    """
    if part is None:
        return None
    given = {}
    if REGIONS.get(part['type']).reads_images:
        views = pool.view.fingerprint(pool.contents)
        given = dict(
            read_image=pool.read_image, file=pool.file, cache=cache / views
        )
    try:
        return build_from_cfg(dict(part), REGIONS, given)
    except SegALError:
        raise
    except Exception as error:
        raise ConfigError(
            not_built('active_learning.settings.region.shape', part, error)
        ) from error


def _selector(
    part: dict[str, Any],
    usual: Budget,
    spending: Spending | None,
    store: LabelStore | None,
    seed: int,
    shuffle_prop: float,
    **standing: Any,
) -> BaseSelector:
    """A selector for one round, with what a budget in cost pays for.

    The loop says how the round stands, and, where it splits the usual budget,
    ``budget``.
    """
    if spending is not None:
        file, askable = standing['round'], standing['free'] > 0  # (P,)
        opened = standing.get('opened')  # None where nothing was
        earlier = [store.asked(k) for k in range(file)] if store else []
        fresh = askable if opened is None else askable & ~opened
        usual = Budget(spending.count(earlier, int(fresh.sum())), False)
    return build_from_cfg(
        dict(part),
        SELECTORS,
        dict(
            **{'budget': usual, **standing},
            seed=seed,
            shuffle_prop=shuffle_prop,
        ),
    )
