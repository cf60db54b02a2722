"""Whether runs belong on one page, and by what they are told apart."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from segal.active.label_store import pool_fingerprint
from segal.config.fingerprint import leaves
from segal.config.kinds import short
from segal.errors import StateError

if TYPE_CHECKING:
    from segal.report.runs import Evidence, Run

_HEURISTIC = 'active_learning.heuristic'
_OWN = ('seed', _HEURISTIC, 'active_learning.heuristic_cfg')
"""Keys in which runs of one report differ by intent."""


def refuse_strangers(
    runs: Sequence[Run], full: Sequence[Run], axis: str
) -> None:
    """Whether runs are of one pool, one unit and one budget.

    Over cost, runs of any unit and budget can be compared.

    Raises:
        StateError: They are not; each group is named.
    """
    both = [*runs, *full]
    same(both, 'pool', _pool_words, lambda run: pool_fingerprint(
        run.pool.images))  # fmt: skip
    same(both, 'classes', lambda run: ', '.join(run.pool.classes))
    if axis == 'cost':
        return
    same(runs, 'unit', lambda run: run.unit, priced=True)
    same(runs, 'rounds', lambda run: str(run.planned))
    longest = max((run.budgets for run in runs), key=len)
    same(
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


def same(
    runs: Sequence[Run],
    what: str,
    words: Callable[[Run], str],
    key: Callable[[Run], Hashable] | None = None,
    priced: bool = False,
) -> None:
    """Whether something is the same for all runs.

    Args:
        runs: Which ones.
        what: In words.
        words: Gives it in words.
        key: Gives it; ``words`` where None.
        priced: Whether runs that differ in it can be compared by cost.

    Raises:
        StateError: It is not; each group is named.
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
        f'these runs do not belong together; wanted the same {what}, '
        f'got\n  {lines}\nreport on each group alone'
        + (', or compare them by cost with --axis cost' if priced else '')
    )


def refuse_unpriced(evidence: Evidence) -> None:
    """Whether every run's labels have a cost that rises.

    Raises:
        StateError: They have not.
    """
    if evidence.costs is None:
        tables = sorted({str(run.costs) for run in evidence.runs})
        raise StateError(
            '--axis cost: wanted one cost table for all runs, got '
            f'{len(tables)}: {"; ".join(tables)}; name one with --costs'
        )
    for run in evidence.runs:
        paid = evidence.paid(run)
        if paid is None:
            raise StateError(
                f'{run.work_dir}: wanted its label files, or rows with costs '
                'at the prices of its config, got neither, so nothing tells '
                'what its labels cost; restore them from a copy, or leave '
                '--axis cost out'
            )
        if len(paid) > 1 and paid[-1] <= paid[0]:
            raise StateError(
                f'{run.work_dir}: wanted labels that cost something in some '
                f'round after the first, got {evidence.costs}; name other '
                'prices with --costs'
            )


def tell_units(runs: Sequence[Run]) -> list[Run]:
    """Labels that also say what is asked, where one heuristic asks several."""
    return [
        replace(run, heuristic=f'{run.heuristic} ({run.unit}s)')
        if len({one.unit for one in runs if one.heuristic == run.heuristic})
        > 1
        else run
        for run in runs
    ]


def tell_apart(runs: Sequence[Run]) -> list[Run]:
    """Labels that also say by which keys runs of one heuristic differ."""
    told = list(runs)
    for label in {run.heuristic for run in runs}:
        own = [at for at, run in enumerate(runs) if run.heuristic == label]
        settings = {at: _settings(runs[at]) for at in own}
        keys = sorted({key for at in own for key in settings[at]})
        differ = [
            key
            for key in keys
            if len({short(settings[at].get(key)) for at in own}) > 1
        ]
        for at in own:
            words = ', '.join(
                f'{_last(key)}={short(settings[at].get(key))}'
                for key in differ
            )
            if words:
                told[at] = replace(runs[at], heuristic=f'{label} [{words}]')
    return told


def _last(key: str) -> str:
    """The end of a dotted key that still says what it is."""
    return key.rpartition('.')[2]


def _settings(run: Run) -> dict[str, Any]:
    """All that tells a run from others of its heuristic, seed apart."""
    return {
        key: value
        for key, value in leaves(run.config)
        if key not in ('seed', _HEURISTIC)
        and not (key.startswith(_HEURISTIC) and key.endswith('.type'))
    }


def differing(
    runs: Sequence[Run],
) -> dict[str, dict[str, list[str]]]:
    """Keys in which runs differ beside heuristic and seed."""
    settings = [
        {
            key: value
            for key, value in leaves(run.config)
            if not any(key == own or key.startswith(own + '.') for own in _OWN)
        }
        for run in runs
    ]
    found: dict[str, dict[str, list[str]]] = {}
    for key in sorted({key for own in settings for key in own}):
        values: dict[str, list[str]] = {}
        for run, own in zip(runs, settings, strict=True):
            text = short(own[key]) if key in own else 'absent'
            values.setdefault(text, []).append(run.name)
        if len(values) > 1:
            found[key] = values
    return found


def refuse_twins(runs: Sequence[Run]) -> None:
    """Whether each heuristic has each seed once.

    Raises:
        StateError: It has one twice.
    """
    seen: dict[tuple[str, int], Run] = {}
    for run in runs:
        first = seen.setdefault((run.heuristic, run.seed), run)
        if first is not run:
            raise StateError(
                f'{first.work_dir}, {run.work_dir}: wanted each seed of a '
                f'heuristic once, got {run.heuristic} with seed {run.seed} '
                'twice; leave one out'
            )
