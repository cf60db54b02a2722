"""Gather the rounds of finished experiments into one results.json.

Run it in the checkout that ran the experiments: its commit goes along.

Usage: python tools/collect_results.py WORK_DIR ... --out results.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from segal.errors import SegALError, StateError
from segal.files import replace_json
from segal.runner.rounds import read_rounds


def main() -> int:
    """Write the file and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('work_dirs', nargs='+', type=Path)
    parser.add_argument('--out', type=Path, required=True)
    args = parser.parse_args()
    try:
        runs = [read_run(work_dir) for work_dir in args.work_dirs]
    except SegALError as error:
        sys.stderr.write(f'\nError: {error}\n')
        return error.exit_code
    commit = subprocess.run(
        ['git', 'rev-parse', 'HEAD'], capture_output=True, text=True
    ).stdout.strip()
    results = dict(
        commit=commit or None,
        python=platform.python_version(),
        torch=torch.__version__,
        device=torch.cuda.get_device_name()
        if torch.cuda.is_available()
        else f'CPU, {os.cpu_count()} cores',
        runs=runs,
    )
    replace_json(args.out, results)
    for run in runs:
        curve = '  '.join(
            f'{row["labels_per_image"]:g}: {100 * row["mIoU"]:.1f}'
            for row in run['rounds']
        )
        print(f'{run["heuristic"]:10s} seed {run["seed"]}  {curve}')
    return 0


def read_run(work_dir: Path) -> dict[str, Any]:
    """What one experiment has to show.

    Raises:
        StateError: It is no work_dir, or has no finished round.
    """
    rows = read_rounds(work_dir)
    config = work_dir / 'config.json'
    if not rows or not config.exists():
        raise StateError(
            f'{work_dir}: wanted a work_dir with finished rounds, got none'
        )
    try:
        cfg = json.loads(config.read_text())
        heuristic, seed = cfg['active_learning']['heuristic'], cfg['seed']
    except (ValueError, KeyError, TypeError) as error:
        raise StateError(
            f'{config}: wanted the config of the experiment, got a file that '
            f'cannot be read as that ({type(error).__name__}: {error}); '
            'restore it from a copy'
        ) from error
    return dict(
        heuristic=heuristic
        if isinstance(heuristic, str)
        else heuristic['type'],
        seed=seed,
        config=cfg,
        rounds=[
            dict(
                round=row['round'],
                labels_per_image=row['total']['labelled']
                / row['pool']['images'],
                share=row['share'],
                requested=row['total']['requested'],
                labelled=row['total']['labelled'],
                void=row['total']['void'],
                mIoU=row['mIoU'],
                IoU=row['IoU'],
                iterations=row['iterations'],
                seconds=row['seconds'],
            )
            for row in rows
        ],
    )


if __name__ == '__main__':
    sys.exit(main())
