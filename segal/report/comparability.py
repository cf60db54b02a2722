"""Check that runs are comparable (same pool, unit and budget)."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any

from segal.active.label_store.store import pool_fingerprint
from segal.config.fingerprint import settings_of
from segal.errors import StateError, short
from segal.report.run import Run

_HEURISTIC = 'active_learning.heuristic'
_OWN = ('seed', _HEURISTIC, 'active_learning.heuristic_cfg')
"""Keys that may differ between runs of one report."""

_BY_NATURE = ('active_learning', 'runner.sample_mode')
"""Keys that may differ between full supervision and other runs."""

_PLACES = ('.data_root',)
"""Ends of keys for places on a machine, which may differ between seeds."""


def check_comparable(
    runs: Sequence[Run], full: Sequence[Run], axis: str
) -> None:
    """Check that runs have the same pool, classes, unit, rounds and budget.

    Over cost, runs of any unit and budget are comparable.

    Raises:
        StateError: Something differs; each group of runs is named.
    """
    both = [*runs, *full]
    check_same(both, 'pool', _pool_words, lambda run: pool_fingerprint(
        run.pool.images))  # fmt: skip
    check_same(both, 'classes', lambda run: ', '.join(run.pool.classes))
    if axis == 'cost':
        return
    check_same(runs, 'unit', lambda run: run.unit, priced=True)
    check_same(runs, 'rounds', lambda run: str(run.planned))
    longest = max((run.budgets for run in runs), key=len)
    check_same(
        runs,
        f'budgets ({runs[0].unit}s asked until each round)',
        lambda run: ', '.join(map(str, run.budgets)),
        lambda run: (
            longest
            if run.budgets == longest[: len(run.budgets)]
            else run.budgets
        ),
        priced=True,
    )


def _pool_words(run: Run) -> str:
    images = run.pool.images
    pixels = sum(image.pixels for image in images)
    return f'{len(images):,} images of {pixels:,} pixels'


def check_same(
    runs: Sequence[Run],
    what: str,
    words: Callable[[Run], str],
    key: Callable[[Run], Hashable] | None = None,
    priced: bool = False,
) -> None:
    """Check that a property, ``what``, is the same for all runs.

    The ``words`` give it in words, and ``key`` the value to compare where that
    is another. Runs that differ in a ``priced`` one are comparable by cost.

    Raises:
        StateError: It differs; each group of runs is named.
    """
    groups: dict[Hashable, list[Run]] = {}
    for run in runs:
        groups.setdefault((key or words)(run), []).append(run)
    if len(groups) < 2:
        return
    lines = '\n  '.join(
        f'{", ".join(str(run.work_dir) for run in group)}: {words(group[0])}'
        for group in groups.values()
    )
    raise StateError(
        f'these runs are not comparable; wanted the same {what}, '
        f'got\n  {lines}\nreport on each group alone'
        + (', or compare them by cost with --axis cost' if priced else '')
    )


def add_units(runs: Sequence[Run]) -> list[Run]:
    """Add the unit to the labels of heuristics that ask several units."""
    return [
        replace(run, heuristic=f'{run.heuristic} ({run.unit}s)')
        if len({one.unit for one in runs if one.heuristic == run.heuristic})
        > 1
        else run
        for run in runs
    ]


def add_settings(runs: Sequence[Run]) -> list[Run]:
    """Add the differing settings to the labels of one heuristic's runs."""
    labelled = list(runs)
    for label in {run.heuristic for run in runs}:
        own = [at for at, run in enumerate(runs) if run.heuristic == label]
        kept = [
            {
                key: value
                for key, value in settings_of(runs[at].config).items()
                if not _is_seed_or_heuristic(key) and not key.endswith(_PLACES)
            }
            for at in own
        ]
        words = [
            (key.rpartition('.')[2], by_run)
            for key in sorted({key for one in kept for key in one})
            if len(set(by_run := _words([one.get(key) for one in kept]))) > 1
        ]
        for number, at in enumerate(own):
            if words:
                settings = ', '.join(
                    f'{key}={by[number]}' for key, by in words
                )
                labelled[at] = replace(
                    runs[at], heuristic=f'{label} [{settings}]'
                )
    return labelled


def _is_seed_or_heuristic(key: str) -> bool:
    """Return whether a key is the seed, or the name of a heuristic."""
    return key in ('seed', _HEURISTIC) or (
        key.startswith(_HEURISTIC) and key.endswith('.type')
    )


def _words(values: Sequence[Any]) -> list[str]:
    """Shorten values to few words; unequal values keep unequal words."""
    whole = [json.dumps(value, sort_keys=True) for value in values]
    few = [short(value) for value in values]
    numbers: dict[str, dict[str, int]] = {}
    for text, word in zip(whole, few, strict=True):
        known = numbers.setdefault(word, {})
        known.setdefault(text, len(known) + 1)
    return [
        word if len(numbers[word]) == 1 else f'{word} ({numbers[word][text]})'
        for text, word in zip(whole, few, strict=True)
    ]


def differing(
    runs: Sequence[Run], full: Sequence[Run] = ()
) -> dict[str, dict[str, list[str]]]:
    """List the keys in which runs differ, except heuristic and seed.

    Runs that read other files differ in these, too. Of fully supervised runs
    only the keys that both kinds have in common are compared: network, data,
    optimizer, schedule. Returns key -> value in words -> names of the runs
    with it.
    """
    absent = 'absent'
    both = [
        *((run, settings_of(run.config), _OWN) for run in runs),
        *(
            (run, settings_of(run.config), (*_OWN, *_BY_NATURE))
            for run in full
        ),
    ]
    found: dict[str, dict[str, list[str]]] = {}
    for key in sorted({key for _, settings, _ in both for key in settings}):
        held = [
            (run, settings.get(key, absent))
            for run, settings, free in both
            if not any(key == one or key.startswith(f'{one}.') for one in free)
        ]
        values: dict[str, list[str]] = {}
        words = _words([value for _, value in held])
        for (run, _), text in zip(held, words, strict=True):
            values.setdefault(text, []).append(run.name)
        if len(values) > 1:
            found[key] = values
    for key in sorted({key for run, *_ in both for key in run.files}):
        values = {}
        for run, *_ in both:
            if key in run.files:
                values.setdefault(run.files[key], []).append(run.name)
        if len(values) > 1:
            found[f'files of {key}'] = values
    return found


def check_seeds(runs: Sequence[Run]) -> None:
    """Check that each heuristic has each seed once."""
    seen: dict[tuple[str, int], Run] = {}
    for run in runs:
        first = seen.setdefault((run.heuristic, run.seed), run)
        if first is not run:
            raise StateError(
                f'{first.work_dir}, {run.work_dir}: wanted each seed of a '
                f'heuristic once, got {run.heuristic} with seed {run.seed} '
                'twice; leave one out'
            )
