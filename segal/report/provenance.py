"""Say where the numbers of a report come from."""

from __future__ import annotations

import re
from datetime import datetime

from segal.report.evidence import Evidence
from segal.report.run import Run
from segal.visualization.table import cost_words


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
