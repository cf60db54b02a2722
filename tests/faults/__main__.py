"""Kill runs at every point and at random times; write the table.

python -m tests.faults [--random 32] [--only TEXT] [--out docs/faults.md]
"""

from __future__ import annotations

import argparse
import platform
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm

from segal import __version__
from segal.files import replace_file
from tests.faults.harness import (
    SCENARIOS,
    Outcome,
    Run,
    kill_after,
    kill_at,
    random_times,
    server,
)
from tests.faults.points import POINTS

WORDS = {
    'pixels': 'pixels, by epoch, one process',
    'workers': 'the same, with loader workers and EMA weights',
    'images': 'whole images, by iteration, weights and schedule go on',
    'mixed': 'images are opened, superpixels asked in them',
    'paid': 'pixels anywhere, for a sum',
    'people': 'people answer squares, pixel by pixel',
    'looks': 'people answer pixels, and look twice at doubtful ones',
    'two': 'pixels, two processes',
}


def main() -> int:
    """Do it all; 0 where every run survived."""
    parser = argparse.ArgumentParser(prog='python -m tests.faults')
    parser.add_argument(
        '--random', type=int, default=32, help='random times, in all'
    )
    parser.add_argument('--only', help='points whose name holds this')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--jobs', type=int, default=2)
    parser.add_argument('--out', type=Path, help='the table as Markdown')
    args = parser.parse_args()
    begin = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix='faults_'))
    server()
    baselines, seconds = {}, {}
    for name in SCENARIOS:
        run = Run(name, folder / name, folder / 'pool')
        run.finish()  # also warms up
        again = Run(name, folder / f'{name}_again', folder / 'pool')
        seconds[name] = again.finish()
        baselines[name] = run
    jobs = [
        partial(kill_at, point, baselines[point.scenario])
        for point in POINTS
        if not args.only or args.only in point.name
    ]
    points = len(jobs)
    rng = random.Random(args.seed)
    for i, name in enumerate(SCENARIOS):
        count = len(range(i, args.random, len(SCENARIOS)))
        for times in random_times(count, seconds[name], rng):
            rank = rng.randrange(baselines[name].processes)
            jobs.append(partial(kill_after, times, baselines[name], rank=rank))
    with ThreadPoolExecutor(args.jobs) as pool:
        running = [
            pool.submit(one, folder=folder / f'{i:03d}')
            for i, one in enumerate(jobs)
        ]
        outcomes = [
            one.result() for one in tqdm(running, unit='kill', leave=False)
        ]
    # A run that was quicker than its time shows nothing.
    times = [one for one in outcomes[points:] if one.reached]
    outcomes = outcomes[:points] + times
    text = table(outcomes[:points], times, seconds)
    for outcome in outcomes:
        if not outcome.survived:
            print(f'NOT SURVIVED: {outcome}')
    text += f'\n{time.monotonic() - begin:.0f} s in all.\n'
    if args.out:
        replace_file(args.out, text)
    print(text)
    if all(one.survived for one in outcomes):
        shutil.rmtree(folder)
        return 0
    print(f'What is left to look at: {folder}')
    return 1


def table(
    points: list[Outcome], times: list[Outcome], seconds: dict[str, float]
) -> str:
    """The outcomes as Markdown."""
    lines = [
        '# Killed and gone on',
        '',
        'Written by `make faults` (`python -m tests.faults --out '
        'docs/faults.md`). Each row is a run of three rounds that was killed',
        'with SIGKILL, started again with the same command, and compared with '
        'one that was not: label files byte by',
        'byte, `rounds.json`, every tensor and value of every `final.pth`, '
        'and the names of all files.',
        '',
        f'SegAL {__version__}, Python {platform.python_version()}, PyTorch '
        f'{torch.__version__}, CPU.',
        '',
        '| run | what it is | seconds |',
        '|---|---|---|',
        *(
            f'| {name} | {WORDS[name]} | {seconds[name]:.1f} |'
            for name in SCENARIOS
        ),
        '',
        f'**{_survived(points)} of {len(points)} points and '
        f'{_survived(times)} of {len(times)} random times survived**',
        '',
        '| killed | run | label files then | afterwards |',
        '|---|---|---|---|',
        *map(_row, points),
        *(_row(one, 'after ') for one in times),
    ]
    slow = max((one.ended for one in [*points, *times]), default=0.0)
    lines += [
        '',
        'Where one of two processes was killed, the other had ended after '
        f'{slow:.1f} s at most.',
    ]
    return '\n'.join(lines) + '\n'


def _row(outcome: Outcome, before: str = '') -> str:
    if not outcome.reached:
        word = 'never came there'
    elif outcome.differences:
        word = f'differs: {outcome.differences[0].splitlines()[0]}'
    else:
        word = 'the same'
    return (
        f'| {before}{outcome.name} | {outcome.scenario} | {outcome.files} | '
        f'{word} |'
    )


def _survived(outcomes: Iterable[Outcome]) -> int:
    return sum(one.survived for one in outcomes)


if __name__ == '__main__':
    sys.exit(main())
