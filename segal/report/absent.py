"""List classes without labels, or left out of the mean IoU."""

from __future__ import annotations

from collections.abc import Sequence

from segal.report.evidence import Evidence
from segal.report.run import Run


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
