"""Run heuristics x seeds of one config, one after the other.

    segal sweep CONFIG --heuristics margin random --seeds 0 1 2
        [--work-dir DIR] [--gpus N] [--cfg-options key=value ...]

Each run has the folder DIR/<heuristic>_seed<k>. The same command again skips
finished runs and resumes an interrupted one. A nested heuristic is written
``power_noise(class_balanced(margin))``.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segal.arguments import make_parser, with_exit_codes
from segal.errors import ConfigError, SegALError
from segal.visualization.table import duration

_NESTED = re.compile(r'(\w+)(?:\((.+)\))?')

Start = Callable[[list[str]], int]
"""Runs a command and returns its exit code."""


@dataclass(frozen=True)
class Job:
    """One run of a sweep.

    Attributes:
        heuristic: As written on the command line.
        seed: Of the run.
        work_dir: Of the run.
        options: Changes of the config, each ``key=value``.
    """

    heuristic: str
    seed: int
    work_dir: Path
    options: tuple[str, ...]


def heuristic_options(text: str) -> list[str]:
    """Write a heuristic as config options ``key=value``.

    Raises:
        ConfigError: The text is neither.
    """
    key, rest = 'active_learning.heuristic', text
    options: list[str] = []
    while rest or not options:
        found = _NESTED.fullmatch(rest)
        if not found:
            raise ConfigError(
                f'--heuristics: wanted a name, or one of another such as '
                f'power_noise(margin); got {text!r}'
            )
        name, rest = found[1], found[2] or ''
        if rest or options:
            options.append(f'{key}.type={name}')
            key += '.of'
        else:
            options.append(f'{key}={name}')
    if len(options) > 1:
        options.insert(0, 'active_learning.heuristic._delete_=True')
    return options


def folder_name(heuristic: str, seed: int) -> str:
    """Name the folder of a run, such as ``power_noise-margin_seed0``."""
    return f'{re.sub("[(]", "-", heuristic.replace(")", ""))}_seed{seed}'


def jobs_of(
    heuristics: Sequence[str],
    seeds: Sequence[int],
    folder: Path,
    options: Sequence[str],
) -> list[Job]:
    """List all runs: one seed of all heuristics before the next seed.

    So a sweep that is stopped early has paired seeds.
    """
    return [
        Job(
            heuristic,
            seed,
            folder / folder_name(heuristic, seed),
            (*options, *heuristic_options(heuristic)),
        )
        for seed in dict.fromkeys(seeds)
        for heuristic in dict.fromkeys(heuristics)
    ]


def rounds_wanted(config: str, job: Job) -> int:
    """Read how many rounds a finished run has; see :func:`config_of`."""
    return len(config_of(config, job).phases)


def config_of(config: str, job: Job) -> Any:
    """Read the active learning of a run.

    Raises:
        SegALError: The config is wrong, or the work_dir holds another
            experiment.
    """
    from segal.config import load_config
    from segal.config.fingerprint import check_same_experiment
    from segal.config.read import read_config
    from segal.train_active_learning import parse

    options = ['--cfg-options', *job.options] if job.options else []
    args = parse([config, *options])
    cfg = load_config(config, args.cfg_options)
    cfg.seed = job.seed
    read, problems, _ = read_config(cfg)
    if problems or read is None:
        raise ConfigError(problems)
    if (job.work_dir / 'config.json').is_file():
        check_same_experiment(job.work_dir, cfg)
    return read


def is_finished(work_dir: Path, rounds: int) -> bool:
    """Return whether a run has all rounds, and the last one is drawn.

    Raises:
        SegALError: ``rounds.json`` is damaged.
    """
    from segal.rounds import read_rounds

    rows = read_rounds(work_dir)
    return len(rows) >= rounds and 'report' in rows[-1]['seconds']


def run_command(
    command: list[str], environment: Mapping[str, str] | None = None
) -> int:
    """Run a command, and wait for it even if this process is asked to end.

    A terminal sends Ctrl-C to both processes. SIGTERM is passed to the run,
    so that no run stays behind and locks its work_dir.

    Returns:
        The exit code of the run; 128 + the signal where one ended it, or
        where this process was asked to end.
    """
    asked: list[int] = []
    running: list[subprocess.Popen[bytes]] = []

    def hand_on(number: int, _: Any) -> None:
        asked.append(number)
        for process in running:
            process.send_signal(number)

    before = signal.signal(signal.SIGTERM, hand_on)
    try:
        process = subprocess.Popen(command, env=environment)
        running.append(process)
        for number in asked:  # before there was one
            process.send_signal(number)
        while True:
            try:
                code = process.wait()
                if asked:
                    return 128 + asked[0]
                return code if code >= 0 else 128 - code
            except KeyboardInterrupt:
                asked.append(signal.SIGINT)  # ends at a safe point
    finally:
        signal.signal(signal.SIGTERM, before)


def sweep(
    config: str,
    jobs: Sequence[Job],
    gpus: int,
    start: Start = run_command,
    wanted: Callable[[str, Job], int] = rounds_wanted,
) -> int:
    """Run all jobs that are not finished.

    Args:
        config: The config file.
        jobs: In order.
        gpus: For each run.
        start: Runs a command.
        wanted: Reads how many rounds a run has.

    Returns:
        The exit code: 0, 1 where a run failed, or 128 + the signal that
        stopped a run.
    """
    failed: list[str] = []
    took: list[float] = []
    for number, job in enumerate(jobs, start=1):
        where = f'[{number}/{len(jobs)}] {job.work_dir}'
        try:
            if is_finished(job.work_dir, wanted(config, job)):
                print(f'{where}: finished before', flush=True)
                continue
        except SegALError as error:
            print(f'{where}: {error}', file=sys.stderr, flush=True)
            failed.append(f'{job.work_dir} (exit code {error.exit_code})')
            continue
        left = len(jobs) - number + 1
        print(f'{where}: starts{_estimate(took, left)}', flush=True)
        begin = time.monotonic()
        code = start(command_of(config, job, gpus))
        seconds = time.monotonic() - begin
        if code in (130, 143):
            print(
                f'{where}: stopped; the same command goes on from here',
                file=sys.stderr,
            )
            return code
        if code:
            failed.append(f'{job.work_dir} (exit code {code})')
            print(f'{where}: failed with exit code {code}', flush=True)
        else:
            took.append(seconds)
            print(f'{where}: done in {duration(seconds)}', flush=True)
    done = len(jobs) - len(failed)
    print(f'{done} of {len(jobs)} runs are finished')
    if failed:
        lines = '\n  '.join(failed)
        print(f'failed:\n  {lines}', file=sys.stderr)
        return 1
    return 0


def command_of(config: str, job: Job, gpus: int) -> list[str]:
    """Build the command line of one run."""
    return [
        sys.executable, '-m', 'segal', 'train', config, str(gpus),
        '--work-dir', str(job.work_dir), '--seed', str(job.seed),
        '--cfg-options', *job.options,
    ]  # fmt: skip


def _estimate(took: Sequence[float], left: int) -> str:
    """Estimate the time of the remaining runs from that of earlier ones."""
    if not took:
        return ''
    seconds = left * sum(took) / len(took)
    return f'; about {duration(seconds)} for the {left} left'


@with_exit_codes
def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments, run, and return the exit code."""
    parser = make_parser(
        __doc__,
        'sweep my_config.py --heuristics margin random --seeds 0 1 2',
    )
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--heuristics',
        nargs='+',
        required=True,
        help='such as margin, random or power_noise(margin)',
    )
    parser.add_argument(
        '--seeds', nargs='+', type=int, default=[0], help='default: 0'
    )
    parser.add_argument(
        '--work-dir',
        type=Path,
        help='of all runs (default: work_dirs/<config name>_sweep)',
    )
    parser.add_argument('--gpus', type=int, default=1, help='for each run')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        help='keys to change in all runs, such as runner.sample_rounds=3',
    )
    args = parser.parse_args(arguments)
    folder = args.work_dir or Path(
        'work_dirs', f'{Path(args.config).stem}_sweep'
    )
    jobs = jobs_of(args.heuristics, args.seeds, folder, args.cfg_options)
    return sweep(args.config, jobs, args.gpus)
