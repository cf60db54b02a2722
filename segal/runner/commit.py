"""Read which commit of the code is running."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""Top folder of the checkout, if there is one."""

CHANGED = ' with changes'
"""Suffix of the commit if files differ from it."""


def commit_of(folder: Path = ROOT) -> str | None:
    """Read the commit of a checkout.

    Returns:
        40 hexadecimal digits, and :data:`CHANGED` if tracked files differ;
        None if the folder is no checkout, or git is not installed.
    """
    if not (folder / '.git').exists():
        return None
    commit = _git(folder, 'rev-parse', 'HEAD')
    changes = _git(folder, 'status', '--porcelain', '--untracked-files=no')
    return f'{commit}{CHANGED}' if commit and changes else commit


def _git(folder: Path, *arguments: str) -> str | None:
    """Return the output of a command; None where it fails."""
    try:
        done = subprocess.run(
            ['git', '-C', str(folder), *arguments],
            capture_output=True,
            text=True,
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
