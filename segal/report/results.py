"""Build and read ``results.json``: the runs of an experiment and their means.

The file is in the repository, and work_dirs are not. So it has all that the
README of an experiment prints: seeds, commit, machine, mean and spread, and
paired differences from random.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from segal.active.label_store.pool_file import PoolFile
from segal.report.evidence import RANDOM, Evidence
from segal.report.run import Run
from segal.report.statistics import mean_and_spread, paired_test
from segal.report.tables import Findings

FULL = 'full supervision'
"""Label of runs that have all labels from the start."""


def results_of(
    evidence: Evidence, findings: Findings, name: str
) -> dict[str, Any]:
    """Build the content of ``results.json``.

    Unfinished runs are listed, but enter no mean. Shares of labelled pixels
    and all of ``summary`` are in per cent; the ``rounds`` of ``runs`` have
    mIoU and IoU in [0, 1], as ``rounds.json`` has them.
    """
    groups = evidence.groups | ({FULL: evidence.full} if evidence.full else {})
    runs = [run for own in groups.values() for run in own]
    machines = [_without(run.machine, 'commit') for run in runs]
    return dict(
        experiment=name,
        pool_images=len(runs[0].pool.images),
        commits=sorted({run.machine.get('commit') or '' for run in runs}),
        machines=[
            one for i, one in enumerate(machines) if one not in machines[:i]
        ],
        summary=[
            _group(label, own, evidence, findings)
            for label, own in groups.items()
        ],
        configs={
            label: _without(own[0].config, 'seed')
            for label, own in groups.items()
        },
        runs=[
            _run(label, run) for label, own in groups.items() for run in own
        ],
    )


def evidence_of(results: dict[str, Any]) -> Evidence:
    """Read the runs of a ``results.json``, to draw charts.

    They have no work_dir, pool and bought labels, which the file lacks.

    Raises:
        KeyError: ``results`` is something else.
    """
    pool = PoolFile([], {}, [], np.zeros((0, 3), np.uint8))
    runs = [
        Run(
            name=f'{one["heuristic"]}, seed {one["seed"]}',
            work_dir=Path(),
            heuristic=one['heuristic'],
            seed=one['seed'],
            rows=one['rounds'],
            planned=len(one['rounds']) + (not one['finished']),
            config={},
            pool=pool,
            budgets=tuple(
                row.get('budget', row['requested']) for row in one['rounds']
            ),
            bought=None,
            machine=one['machine'],
        )
        for one in results['runs']
    ]
    return Evidence(
        [run for run in runs if run.heuristic != FULL],
        [run for run in runs if run.heuristic == FULL],
    )


def _group(
    label: str, runs: Sequence[Run], evidence: Evidence, findings: Findings
) -> dict[str, Any]:
    """Summarise the finished runs of a heuristic."""
    done = [run for run in runs if run.finished]
    group: dict[str, Any] = dict(
        heuristic=label,
        seeds=[run.seed for run in done],
        rounds=[
            _point(done, at, _paired(label, done, evidence))
            for at in range(len(done[0].rows) if done else 0)
        ],
    )
    if label == FULL:
        return group
    mean, spread = mean_and_spread(findings.areas[label].values())
    group['area'] = dict(mean=mean, std=spread)
    test = findings.against_random.get(label)
    if test is not None:
        group['area'] |= dict(
            minus_random=test.difference,
            pairs=test.pairs,
            p=test.p,
            p_holm=findings.p_holm[label],
        )
    return group


def _paired(
    label: str, runs: Sequence[Run], evidence: Evidence
) -> list[tuple[Run, Run]]:
    """Pair each run with random's of its seed; none for random itself."""
    if label in (RANDOM, FULL) or RANDOM not in evidence.groups:
        return []
    if not evidence.same_budgets:
        return []  # its rounds are not those of random
    others = {run.seed: run for run in evidence.finished(RANDOM)}
    return [(run, others[run.seed]) for run in runs if run.seed in others]


def _point(
    runs: Sequence[Run], at: int, pairs: Sequence[tuple[Run, Run]]
) -> dict[str, Any]:
    """Summarise one round of a heuristic."""
    labels, _ = mean_and_spread([run.per_image[at] for run in runs])
    share, _ = mean_and_spread([run.share[at] for run in runs])
    point: dict[str, Any] = dict(
        labels_per_image=labels,
        share=share,
        last_epoch=_spread([run.curve[at] for run in runs]),
        best_epoch=_spread([run.best[at] for run in runs]),
    )
    if pairs:
        test = paired_test(
            *(
                {run.seed: run.curve[at] for run in column}
                for column in zip(*pairs, strict=True)
            )
        )
        point['minus_random'] = dict(
            pairs=test.pairs, mean=test.difference, std=test.spread, p=test.p
        )
    return point


def _spread(values: Sequence[float | None]) -> dict[str, Any] | None:
    if not values or None in values:
        return None
    mean, spread = mean_and_spread(values)
    return dict(mean=mean, std=spread, values=values)


def _run(label: str, run: Run) -> dict[str, Any]:
    """List the rounds of a run."""
    keys = ('round', 'mIoU', 'IoU', 'best', 'iterations')
    return dict(
        heuristic=label,
        seed=run.seed,
        finished=run.finished,
        machine=run.machine,
        rounds=[
            {key: row.get(key) for key in keys}
            | dict(
                unit=run.unit,
                budget=run.budgets[at],
                labels_per_image=run.per_image[at],
                share=run.share[at],
                requested=row['total']['requested'],
                labelled=row['total']['labelled'],
                void=row['total']['void'],
            )
            for at, row in enumerate(run.rows)
        ],
    )


def _without(values: dict[str, Any], left_out: str) -> dict[str, Any]:
    """Copy a dict without one key."""
    return {key: value for key, value in values.items() if key != left_out}
