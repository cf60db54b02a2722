"""Read the runs of a report, and check that they are comparable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from segal.active.label_store.pool_file import read_pool
from segal.active.units.costs import Costs
from segal.errors import StateError
from segal.report.comparability import (
    add_settings,
    add_units,
    check_comparable,
    check_same,
    check_seeds,
    differing,
)
from segal.report.run import Run, read_run
from segal.rounds import read_rounds

RANDOM = 'Random'
"""Label of the heuristic that all others are tested against."""


@dataclass(frozen=True)
class Evidence:
    """Comparable runs.

    Attributes:
        runs: The runs that ask for labels.
        full: The fully supervised runs.
        differing: Key -> value -> names of the runs with it, for keys in
            which runs differ, except heuristic and seed.
        waiting: Names of folders without a finished round: the run has just
            begun, or failed in its first round.
        axis: What areas and tests are over, one of ``segal.report.AXES``.
        costs: Prices of all runs; None where runs have different prices.
    """

    runs: list[Run]
    full: list[Run]
    differing: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    waiting: list[str] = field(default_factory=list)
    axis: str = 'asked'
    costs: Costs | None = None

    def paid(self, run: Run) -> list[float] | None:
        """Return the cost of a run's labels until each round, if known."""
        return None if self.costs is None else run.paid(self.costs)

    @cached_property
    def units(self) -> list[str]:
        """Units that runs ask; several only where cost is the axis."""
        return sorted({run.unit for run in self.runs})

    @property
    def alone(self) -> bool:
        """Whether there is one run, and nothing to compare it with."""
        return len(self.runs) + len(self.full) == 1

    @cached_property
    def has_costs(self) -> bool:
        """Check that the costs of all runs are known."""
        return all(self.paid(run) is not None for run in self.runs)

    @cached_property
    def same_budgets(self) -> bool:
        """Check that all runs have the same unit and budgets."""
        return len({run.unit for run in self.runs}) == 1 and all(
            run.budgets == self.budgets[: len(run.budgets)]
            for run in self.runs
        )

    @property
    def classes(self) -> list[str]:
        """Names of the classes."""
        return self.runs[0].pool.classes

    @property
    def whole(self) -> bool:
        """Whether all runs ask whole images."""
        return all(run.unit == 'image' for run in self.runs)

    @cached_property
    def budgets(self) -> tuple[int, ...]:
        """Requests until each round, of the longest run."""
        return max((run.budgets for run in self.runs), key=len)

    @cached_property
    def groups(self) -> dict[str, list[Run]]:
        """Heuristic -> its runs, sorted by seed; random comes last."""
        names = sorted(
            {run.heuristic for run in self.runs},
            key=lambda name: (name == RANDOM, name),
        )
        return {
            name: sorted(
                (run for run in self.runs if run.heuristic == name),
                key=lambda run: run.seed,
            )
            for name in names
        }

    @cached_property
    def rounds(self) -> int | None:
        """Planned rounds; None where that differs between runs."""
        planned = {run.planned for run in self.runs}
        return planned.pop() if len(planned) == 1 else None

    @cached_property
    def unfinished(self) -> list[Run]:
        """Unfinished runs; the fully supervised ones come last."""
        return [run for run in (*self.runs, *self.full) if not run.finished]

    def finished(self, heuristic: str) -> list[Run]:
        """Return the finished runs of a heuristic."""
        return [run for run in self.groups[heuristic] if run.finished]

    @property
    def full_miou(self) -> list[float]:
        """MIoU of the finished fully supervised runs, in per cent."""
        last = (run.curve[-1] for run in self.full if run.finished)
        return [value for value in last if value is not None]


def read_evidence(
    work_dirs: Sequence[Path],
    full: Sequence[Path] = (),
    axis: str | None = None,
    costs: Costs | None = None,
) -> Evidence:
    """Read runs, and check that they are comparable.

    Args:
        work_dirs: Of the runs; a run whose first labels are the whole pool
            counts as fully supervised.
        full: Of further fully supervised runs.
        axis: What areas and tests are over, one of ``segal.report.AXES``;
            None: cost where budgets are in cost, else what was asked.
        costs: Prices that replace those of the configs.

    Raises:
        StateError: A folder is no work_dir or is damaged, runs are not
            comparable, or the axis is cost and a cost is not known.
    """
    known_full = {folder.resolve() for folder in full}
    folders = [
        *(one for one in work_dirs if one.resolve() not in known_full),
        *full,
    ]
    runs, waiting = [], []
    for folder, name in zip(folders, _short_names(folders), strict=True):
        if _has_no_round(folder):
            waiting.append(name)
        else:
            runs.append(read_run(folder, name))
    supervised: list[Run] = []
    others: list[Run] = []
    for run in runs:
        known = run.work_dir.resolve() in known_full or run.is_full
        (supervised if known else others).append(run)
    if not others:
        raise StateError(
            f'{", ".join(map(str, folders))}: wanted runs that buy labels, '
            'with a finished round, got none; report when there are some'
        )
    in_cost = any(run.cost_per_round is not None for run in others)
    axis = axis or ('cost' if in_cost else 'asked')
    check_comparable(others, supervised, axis)
    others = add_settings(add_units(others))
    check_seeds(others)
    if costs is None and len({run.costs for run in others}) == 1:
        costs = others[0].costs
    evidence = Evidence(
        others, supervised, differing(others, supervised), waiting, axis, costs
    )
    if axis == 'cost':
        for runs in evidence.groups.values():
            check_same(runs, 'rounds', lambda run: str(run.planned))
        check_costs(evidence)
    return evidence


def check_costs(evidence: Evidence) -> None:
    """Check that the cost of every run is known and rises."""
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
                'at the prices of its config, got neither, so the cost of its '
                'labels is not known; restore the label files from a copy, or '
                'leave --axis cost out'
            )
        if len(paid) > 1 and paid[-1] <= paid[0]:
            raise StateError(
                f'{run.work_dir}: wanted labels that cost something in some '
                f'round after the first, got {evidence.costs}; name other '
                'prices with --costs'
            )


def _has_no_round(folder: Path) -> bool:
    """Check whether the folder of a run has no finished round yet."""
    if folder.is_dir() and not (folder / 'pool.json').exists():
        return True  # a run writes it once all its parts are built
    return bool(read_pool(folder).images) and not read_rounds(folder)


def _short_names(folders: Sequence[Path]) -> list[str]:
    """Shorten paths to as many last parts as make them unique."""
    whole = [folder.resolve() for folder in folders]
    twice = sorted({str(path) for path in whole if whole.count(path) > 1})
    if twice:
        raise StateError(
            f'{", ".join(twice)}: wanted each work_dir once, got it twice; '
            'name it once'
        )
    for count in range(1, max(len(path.parts) for path in whole) + 1):
        names = ['/'.join(path.parts[-count:]) for path in whole]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in whole]
