"""Read one work_dir for a report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import segal.active.heuristics as _  # noqa: F401  (registers them)
from segal.active.dataset.pool import read_sizes
from segal.active.dataset.read_files import digest, read_record
from segal.active.label_store.pool_file import PoolFile, read_pool
from segal.active.label_store.store import LabelStore
from segal.active.units.costs import DEFAULTS, Asked, Costs
from segal.config.costs import read_costs
from segal.config.parts import folded
from segal.config.phases import read_phases
from segal.config.shapes import find
from segal.errors import ConfigError, StateError
from segal.registry import HEURISTICS
from segal.rounds import read_object, read_rounds
from segal.visualization.table import labels_per_image


@dataclass(frozen=True)
class Run:
    """One run, as its work_dir describes it.

    Attributes:
        name: Short and unique within a report.
        work_dir: Folder of the run.
        heuristic: Its label, such as ``PowerNoise(Margin)``.
        seed: Of the run.
        rows: Of ``rounds.json``, with their seconds.
        planned: How many rounds the config wants.
        config: Content of ``config.json``.
        pool: Content of ``pool.json``.
        budgets: Pixels, or whole images, asked until each round, (rounds,).
        bought: int64 (rounds, C), labels bought in each round; None without
            label files.
        machine: Content of ``machine.json``; empty where it is missing.
        asked: The requests of each round, which have a price; None without
            label files.
        costs: The prices of the config.
    """

    name: str
    work_dir: Path
    heuristic: str
    seed: int
    rows: list[dict[str, Any]]
    planned: int
    config: dict[str, Any]
    pool: PoolFile
    budgets: tuple[int, ...]
    bought: NDArray[np.int64] | None
    machine: dict[str, Any]
    asked: tuple[Asked, ...] | None = None
    costs: Costs = DEFAULTS

    def paid(self, costs: Costs) -> list[float] | None:
        """Compute the cost of all labels until each round.

        None without label files, unless the rows have costs at these prices.
        """
        if self.asked is not None:
            return [float(costs.of(one)) for one in accumulate(self.asked)]
        own = [row.get('cost') for row in self.rows]
        if costs != self.costs:
            return None
        totals = [float(cost['total']) for cost in own if cost]
        return totals if len(totals) == len(own) else None

    @property
    def cost_per_round(self) -> float | None:
        """Budget of a round in cost; None where budgets are counts."""
        where = f'active_learning.settings.{self.unit}.cost_per_round'
        found = find(self.config, where)[1]
        return None if found is None else float(found)

    @property
    def unit(self) -> str:
        """``'pixel'``, ``'image'``, ..."""
        return str(self.rows[0].get('unit', 'pixel'))

    @cached_property
    def files(self) -> dict[str, str]:
        """Count and digest of the files of each data set, where known."""
        sums = {
            key: [row[2] for row in rows.values()]
            for key, rows in read_record(self.work_dir).items()
        }
        pool = read_sizes(self.work_dir)
        sums['data.query'] = [row[4] for row in pool.values()]
        return {
            key: f'{len(known):,} files ({digest(known)})'
            for key, known in sums.items()
            if known
        }

    @property
    def finished(self) -> bool:
        """Whether all rounds are trained and evaluated."""
        return len(self.rows) >= self.planned

    @property
    def progress(self) -> str:
        """Finished and planned rounds, such as ``3 of 4``."""
        return f'{len(self.rows)} of {self.planned}'

    @cached_property
    def curve(self) -> list[float | None]:
        """MIoU of each round's last epoch, in per cent."""
        return [_per_cent(row.get('mIoU')) for row in self.rows]

    @cached_property
    def best(self) -> list[float | None]:
        """Best mIoU of any epoch of each round, where it was kept."""
        return [
            _per_cent((row.get('best') or {}).get('mIoU')) for row in self.rows
        ]

    @cached_property
    def per_image(self) -> list[float]:
        """Labelled pixels for each image of the pool, until each round."""
        images = len(self.pool.images)
        return [labels_per_image(row, images) for row in self.rows]

    @cached_property
    def share(self) -> list[float]:
        """Labelled pixels in per cent of the pool's, until each round."""
        return [100 * float(row['share']) for row in self.rows]

    @property
    def iterations(self) -> int:
        """Training iterations of all rounds."""
        return sum(row.get('iterations', 0) for row in self.rows)

    @cached_property
    def measured(self) -> list[float] | None:
        """Minutes that people took until each round; None if not measured."""
        found = [
            (row.get('seconds') or {}).get('annotation') for row in self.rows
        ]
        known = [float(seconds) for seconds in found if seconds is not None]
        if len(known) < len(found):
            return None
        return [seconds / 60 for seconds in accumulate(known)]

    def iou(self, row: int) -> list[float | None]:
        """Return the IoU of each class in a round, in per cent."""
        known = self.rows[row].get('IoU') or {}
        return [_per_cent(known.get(name)) for name in self.pool.classes]

    @property
    def is_full(self) -> bool:
        """Whether the initial labels are the whole pool."""
        first = self.rows[0]
        if self.unit == 'image':
            return bool(self.budgets[0] >= len(self.pool.images))
        return bool(first['total']['requested'] >= first['pool']['pixels'])


def read_run(work_dir: Path, name: str = '') -> Run:
    """Read a run; its name is that of the folder if none is given.

    Raises:
        StateError: The folder is no work_dir, has no finished round, or is
            damaged.
    """
    pool = read_pool(work_dir)
    rows = read_rounds(work_dir)
    if not rows:
        raise StateError(
            f'{work_dir / "rounds.json"}: wanted at least one finished '
            'round, got none; report on this run when it has one'
        )
    path = work_dir / 'config.json'
    try:
        config = json.loads(path.read_text())
        section = config['active_learning']
        heuristic = heuristic_label(section['heuristic'])
        seed = int(config.get('seed') or 0)
        costs = read_costs(section.get('costs'))
        phases, problems, _notes = read_phases(
            config.get('workflow'), config['runner'].get('sample_rounds')
        )
        if problems:
            raise ValueError(problems[0])
    except (
        *(OSError, ValueError, KeyError, TypeError, AttributeError),
        ConfigError,
    ) as error:
        raise StateError(
            f'{path}: wanted the config of the experiment, got a file that '
            f'cannot be read as that ({type(error).__name__}: {error}); '
            'restore it from a copy'
        ) from error
    whole = rows[0].get('unit') == 'image'
    try:
        bought, images, asked = _read_labels(work_dir, pool, len(rows))
        budgets = tuple(
            int(row['total']['images' if whole else 'requested'])
            for row in rows
        )
        if whole and images:
            budgets = tuple(np.cumsum(images).tolist())
        run = Run(
            name or work_dir.resolve().name,
            work_dir,
            heuristic,
            seed,
            rows,
            max(len(phases), len(rows)),  # its config may want fewer
            config,
            pool,
            budgets,
            bought,
            read_object(work_dir / 'machine.json'),
            asked,
            costs,
        )
        _ = run.curve, run.best, run.per_image, run.share, run.is_full
        _ = [run.iou(number) for number in range(len(rows))]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StateError(
            f'{work_dir / "rounds.json"}: wanted what was bought and measured '
            'in each round, got rows without it '
            f'({type(error).__name__}: {error}); restore it from a copy'
        ) from error
    return run


def heuristic_label(heuristic: str | Mapping[str, Any]) -> str:
    """Name a config's heuristic: ``PowerNoise(ClassBalanced(Margin))``."""
    if not isinstance(heuristic, Mapping):
        return _registered(str(heuristic))
    name = _registered(str(heuristic['type']))
    inner = heuristic.get('of')
    return name if inner is None else f'{name}({heuristic_label(inner)})'


def _registered(name: str) -> str:
    """Return the name of the class for any spelling of a config."""
    known = {folded(one): one for one in HEURISTICS.module_dict}
    return known.get(folded(name), name)


def _read_labels(
    work_dir: Path, pool: PoolFile, rounds: int
) -> tuple[NDArray[np.int64] | None, list[int], tuple[Asked, ...] | None]:
    """Read labels by round and class, images and requests by round."""
    if not any((work_dir / 'labels').glob('round_*.npz')):
        return None, [], None
    store = LabelStore(work_dir / 'labels', pool.images)
    if store.rounds < rounds:
        raise StateError(
            f'{store.folder}: wanted the label files of the {rounds} rounds '
            f'that rounds.json tells of, got {store.rounds}; restore them '
            'from a copy'
        )
    images = [store.counts(number).images for number in range(rounds)]
    asked = tuple(store.asked(number) for number in range(rounds))
    counts = [store.class_counts(number) for number in range(rounds)]
    bought = np.array(counts).reshape(-1, 256)[:, : len(pool.classes)]
    return bought, images, asked


def _per_cent(value: float | None) -> float | None:
    return None if value is None else 100 * float(value)
