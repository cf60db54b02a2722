"""Record the machine of an experiment, and compare it on resume."""

from __future__ import annotations

import hashlib
import json
import logging
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from segal.distributed import ranks
from segal.errors import StateError
from segal.files import replace_json

FILE = 'machine.json'
ROOT = Path(__file__).resolve().parents[2]
"""Top folder of the checkout, if there is one."""

CHANGED = ' with changes'
"""Suffix of the commit if files differ from it."""

_MEANS = dict(
    processes='batches are of another size, so results will differ',
    commit='the code is another, so results may differ',
    modules='your code is another, so results may differ',
)
"""Effects of a difference, if larger than the last bits."""


def this_machine(
    device: torch.device, imports: Sequence[str] | str = ()
) -> dict[str, Any]:
    """List what decides about the bits of a result, beside config and seed.

    Args:
        device: Of the training.
        imports: Names of the user's modules, which are imported; or one.
    """
    on_gpu = device.type == 'cuda'
    return dict(
        processes=ranks.world_size(),
        threads=torch.get_num_threads(),
        device=torch.cuda.get_device_name(device) if on_gpu else 'cpu',
        instructions=torch.backends.cpu.get_cpu_capability(),
        torch=torch.__version__,
        python=platform.python_version(),
        commit=commit_of(),
        **({'modules': code_of(imports)} if imports else {}),
    )


def code_of(imports: Sequence[str] | str) -> str:
    """List modules with a digest of their code, of a package all of it."""
    found = []
    for name in [imports] if isinstance(imports, str) else imports:
        file = getattr(sys.modules.get(name), '__file__', None)
        if file is None:
            continue
        path = Path(file)
        inside = path.name == '__init__.py'
        files = sorted(path.parent.rglob('*.py')) if inside else [path]
        digest = hashlib.sha256(b''.join(one.read_bytes() for one in files))
        found.append(f'{name} ({digest.hexdigest()[:8]})')
    return ', '.join(found)


def keep_machine(
    work_dir: Path,
    device: torch.device,
    logger: logging.Logger,
    imports: Sequence[str] | str = (),
) -> None:
    """Record the machine at the start, and set up the same one on resume.

    On CPU the number of threads is set again, since it changes the last bits
    of sums. Other differences cannot be set, and are logged; so are modules
    of the user's that changed since.

    Raises:
        StateError: The record cannot be read or written.
    """
    path = work_dir / FILE
    now = this_machine(device, imports)
    then = now
    with ranks.together():
        if ranks.is_main() and path.exists():
            then = _read(path)
        elif ranks.is_main():
            replace_json(path, now)
    then = ranks.broadcast(then)
    threads = int(then['threads'])
    if now['device'] == 'cpu' and threads != now['threads']:
        torch.set_num_threads(threads)
        logger.info(
            '%d threads a process are set, as when the experiment began '
            '(this start would have had %d)',
            threads,
            now['threads'],
        )
        now['threads'] = threads
    for name, value in now.items():
        if name in then and then[name] != value:
            logger.warning(
                '%s: %s when the experiment began, %s now; %s',
                name,
                then[name],
                value,
                _MEANS.get(name, 'results may differ in their last bits'),
            )


def _read(path: Path) -> dict[str, Any]:
    try:
        then = json.loads(path.read_text())
        if not (isinstance(then['threads'], int) and then['threads'] > 0):
            raise ValueError(f'threads: {then["threads"]!r}')
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StateError(
            f'{path}: wanted the machine that the experiment was begun on, '
            f'got a file that cannot be read as that ({error}); restore it '
            'from a copy, or delete it: this machine is then written down'
        ) from error
    return then


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
