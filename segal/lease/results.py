"""Describe what is finished of a plan, for ``results.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from segal.errors import SegALError
from segal.lease.plan import Run
from segal.report.evidence import read_evidence
from segal.report.results import results_of
from segal.report.tables import find
from segal.rounds import read_rounds

FILE = 'results.json'
_SHOWN = ('round', 'iterations', 'share', 'mIoU', 'mAcc', 'aAcc', 'IoU')


def describe(
    runs: Sequence[Run],
    folder: Path,
    wanted: Mapping[str, int],
    failed: Mapping[str, str],
) -> dict[str, Any]:
    """Describe all runs of a plan, and sum up those that are finished.

    Args:
        runs: Of the plan.
        folder: Of their work_dirs.
        wanted: Name of a run -> rounds that it has when it is finished.
        failed: Name of a run -> why it failed.
    """
    described = [_run(one, folder, wanted, failed) for one in runs]
    finished = {one['name'] for one in described if one['state'] == 'finished'}
    groups: dict[str, list[Run]] = {}
    for run in runs:
        if run.config and run.name in finished:
            groups.setdefault(Path(run.config).parent.name, []).append(run)
    return dict(
        runs=described,
        summary={
            name: _summary(name, some, folder) for name, some in groups.items()
        },
    )


def is_finished(run: Run, folder: Path, wanted: int) -> bool:
    """Check whether a run has all of its rounds, or a script its file."""
    if run.script:
        return output_of(run, folder).is_file()
    return len(read_rounds(folder / run.name)) >= wanted


def output_of(run: Run, folder: Path) -> Path:
    """Return the file that a script writes."""
    return folder / f'{run.name}.json'


def _run(
    run: Run,
    folder: Path,
    wanted: Mapping[str, int],
    failed: Mapping[str, str],
) -> dict[str, Any]:
    """Describe one run."""
    rows = read_rounds(folder / run.name) if run.config else []
    state = 'begun' if rows else 'waiting'
    if is_finished(run, folder, wanted.get(run.name, 1)):
        state = 'finished'
    elif run.name in failed:
        state = 'failed'
    told: dict[str, Any] = dict(name=run.name, state=state)
    if run.name in failed:
        told['error'] = failed[run.name]
    if run.script:
        told['script'] = run.script
        with suppress(OSError, ValueError):
            told['found'] = json.loads(output_of(run, folder).read_text())
        return told
    told |= dict(
        config=run.config,
        seed=run.seed,
        options=list(run.options),
        wanted_rounds=wanted.get(run.name),
        rounds=[
            {key: row[key] for key in _SHOWN if key in row}
            | dict(labelled=row['total']['labelled'], seconds=row['seconds'])
            for row in rows
        ],
    )
    with suppress(OSError, ValueError):
        machine = folder / run.name / 'machine.json'
        told['machine'] = json.loads(machine.read_text())
    return told


def _summary(name: str, runs: Sequence[Run], folder: Path) -> dict[str, Any]:
    """Sum up the finished runs of one experiment; or say why not."""
    apart: dict[bool, list[Path]] = {True: [], False: []}
    for run in runs:
        apart[run.full].append(folder / run.name)
    if not apart[False]:
        return dict(error='only runs of full supervision are finished')
    try:
        evidence = read_evidence(apart[False], apart[True])
        return results_of(evidence, find(evidence), name)
    except SegALError as error:
        return dict(error=str(error))
