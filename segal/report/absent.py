"""Note what the numbers of a report leave out, and where they come from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from segal.report.evidence import Evidence
from segal.report.run import Run
from segal.visualization.table import cost_words


def left_out(run: Run, at: int) -> list[str]:
    """List the classes, with an IoU of null, that the mean IoU leaves out."""
    known = run.rows[at].get('IoU') or {}
    return [
        name
        for name in run.pool.classes
        if name in known and known[name] is None
    ]


def without_labels(run: Run) -> list[str]:
    """List the classes without any label after the last round."""
    if run.bought is None:
        return list((run.rows[-1].get('absent') or {}).get('labels', []))
    total = run.bought.sum(0)  # (C,)
    return [
        name
        for name, count in zip(run.pool.classes, total, strict=True)
        if not count
    ]


def absences(evidence: Evidence) -> list[str]:
    """Say which classes have no labels or do not enter the mean IoU."""
    runs = [*evidence.runs, *evidence.full]
    rounds = [(run, at) for run in runs for at in range(len(run.rows))]
    out = [left_out(run, at) for run, at in rounds]
    sentences = []
    if any(out):
        sentences.append(
            'mIoU is a mean over fewer classes than there are, where no pixel '
            'of a class is in data.val or in what was predicted: '
            f'{_counted(evidence.classes, out, "rounds")} left out'
        )
        if len({tuple(names) for names in out}) > 1:
            sentences[-1] += (
                '; so not all points of the curves are means over the same '
                'classes'
            )
        sentences[-1] += '.'
    absent = [run.rows[at].get('absent') or {} for run, at in rounds]
    zero = [
        [name for name in one.get('val', []) if name not in names]
        for one, names in zip(absent, out, strict=True)
    ]
    if any(zero):
        sentences.append(
            'No pixel of a class is in data.val, but in what was predicted, '
            'so that its IoU counts as 0 % in the mean: '
            f'{_counted(evidence.classes, zero, "rounds")}.'
        )
    bare = [without_labels(run) for run in runs]
    if any(bare):
        sentences.append(
            'No label of a class was bought until the last round: '
            f'{_counted(evidence.classes, bare, "runs")}.'
        )
    return sentences


def _counted(
    classes: Sequence[str], lists: Sequence[Sequence[str]], what: str
) -> str:
    """Count how often each class is listed: ``x in 3 of 12 rounds``."""
    counts = {name: sum(name in one for one in lists) for name in classes}
    return ', '.join(
        f'{name} in {count} of {len(lists)} {what}'
        for name, count in counts.items()
        if count
    )


def provenance(evidence: Evidence) -> list[tuple[str, str]]:
    """List config, commit, date and length of the runs: name -> words."""
    runs = [*evidence.runs, *evidence.full]
    commits = {run.machine.get('commit') or 'not known' for run in runs}
    begun = sorted(day for run in runs if (day := _begun(run)))
    days = list(dict.fromkeys((begun[0], begun[-1]))) if begun else []
    seconds = [_seconds(run) for run in runs]
    iterations = sum(run.iterations for run in runs)
    rounds = sum(len(run.rows) for run in runs)
    plural = 's' if rounds != 1 else ''
    trained = f'{rounds} round{plural}, {iterations:,} iterations'
    if all(seconds):
        trained += f', {cost_words(sum(seconds), "seconds")}'
    return [
        ('Config', _configs(runs)),
        ('Commit', ', '.join(sorted(commits))),
        ('Begun', ' to '.join(days) or 'not known'),
        ('Training', trained),
    ]


def _configs(runs: list[Run]) -> str:
    """Name the config of each run, or of the first ones."""
    names = [f'{run.name}/config.py' for run in runs]
    more = f' and {len(names) - 3} more' if len(names) > 3 else ''
    return ', '.join(names[:3]) + more


def _begun(run: Run) -> str | None:
    """Read the day a run began from the name of its first log."""
    for path in sorted(run.work_dir.glob('*.log')):
        found = re.fullmatch(r'(\d{8})_\d{6}', path.stem)
        if found:
            day = datetime.strptime(found.group(1), '%Y%m%d')
            return day.date().isoformat()
    return None


def _seconds(run: Run) -> float:
    """Sum the seconds of training of all rounds; 0 if some are unknown."""
    known = [(row.get('seconds') or {}).get('train') or 0 for row in run.rows]
    return float(sum(known)) if all(known) else 0.0
