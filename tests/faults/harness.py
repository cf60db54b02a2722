"""Kills a run, starts it again, and compares it with one that went through.

Imports cost seconds, so every process is forked from a server that has done
them; what runs in it is the entry point itself, with its own command line.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tests.annotation.answering import answer_all, truth_of
from tests.faults.points import Point
from tests.ranks import server
from tests.tiny import config_text, write_images

PATIENCE = 30.0
"""Seconds in which the other processes must end once one was killed."""

_SHOWN = '\nactive_learning.update(visualize=dict(size=2))\n'
SCENARIOS = {
    'pixels': dict(extra=_SHOWN),
    'workers': dict(
        extra=_SHOWN
        + 'data.update(workers_per_gpu=1)\n'
        + "custom_hooks = [dict(type='EMAHook', momentum=0.1)]\n"
    ),
    'images': dict(
        mode='image',
        extra=_SHOWN
        + """
active_learning.update(reset=dict(weights=False, optimizer=False,
                                  schedule=False))
runner.update(by_epoch=False)
workflow = [('train', 5), ('query', 1)]
checkpoint_config = dict(interval=2)
""",
    ),
    'mixed': dict(
        mode='mixed',
        extra=_SHOWN
        + """
active_learning['settings'] = dict(
    image=dict(initial_pool=3, query_size=2),
    region=dict(query_size=2,
                shape=dict(type='Superpixels', segments=20)),
    mixed=dict(inside='region'))
""",
    ),
    'paid': dict(
        extra=_SHOWN
        + """
active_learning.update(
    costs=dict(unit='clicks', pixel=3, image=100, open=7),
    settings=dict(pixel=dict(cost_per_round=103.5, sample_evenly=False)))
""",
    ),
    'people': dict(
        mode='region',
        extra=_SHOWN
        + """
active_learning['settings'] = dict(
    region=dict(initial_label_regions=1, query_size=1,
                shape=dict(type='Squares', radius=2)))
active_learning['oracle'] = dict(type='HumanOracle')
""",
    ),
    'looks': dict(
        extra=_SHOWN
        + """
active_learning['oracle'] = dict(type='HumanOracle', recheck=0.2)
""",
    ),
    'two': dict(extra=_SHOWN, processes=2),
}  # fmt: skip


def play(
    arguments: list[str], env: dict[str, str], log: str, point: Any
) -> None:
    """What a forked process does: the entry point, and maybe its end."""
    import torch

    os.environ.update(env)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    torch.set_num_threads(1)
    multiprocessing.set_start_method('fork', force=True)  # loaders' default
    if point is not None:
        point.arm()
    from segal.train_active_learning import main

    code = main(arguments)
    while code == 6:
        answer_all(Path(arguments[2]), truth_of(Path(env['TRUTH'])), 3)
        code = main(arguments)
    raise SystemExit(code)


@dataclass
class Run:
    """An experiment in a folder of its own, started as often as it takes.

    Attributes:
        scenario: Of ``SCENARIOS``.
        folder: With the config, ``run`` and the logs.
        images: Folder of the images that all runs share.
    """

    scenario: str
    folder: Path
    images: Path
    processes: int = field(init=False, default=1)

    def __post_init__(self) -> None:
        options = dict(SCENARIOS[self.scenario])
        self.processes = int(options.pop('processes', 1))
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.images.exists():
            write_images(self.images)
        self.config = self.folder / 'tiny.py'
        self.config.write_text(config_text(self.images, **options))

    @property
    def work_dir(self) -> Path:
        """What the experiment writes."""
        return self.folder / 'run'

    def log(self, rank: int = 0) -> str:
        """All that a process ever said."""
        path = self.folder / f'{rank}.txt'
        return path.read_text() if path.exists() else ''

    def progress(self) -> str:
        """The names of all that it has written."""
        return '\n'.join(sorted(map(str, self.work_dir.rglob('*'))))

    def start(
        self, point: Any = None, env: dict[str, str] | None = None
    ) -> list[BaseProcess]:
        """Begin, or go on; every rank a process.

        Args:
            point: Something with a ``rank`` and ``arm()``, for that process.
            env: Environment of all of them.
        """
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            port = probe.getsockname()[1]
        arguments = [str(self.config), '--work-dir', str(self.work_dir)]
        if self.processes > 1:
            arguments += ['--launcher', 'pytorch']
        started = []
        for rank in range(self.processes):
            mine = dict(
                env or {},
                RANK=str(rank),
                LOCAL_RANK=str(rank),
                WORLD_SIZE=str(self.processes),
                MASTER_ADDR='127.0.0.1',
                MASTER_PORT=str(port),
                TRUTH=str(self.images / 'annotations'),
            )
            log = str(self.folder / f'{rank}.txt')
            armed = point if point and point.rank == rank else None
            process = server().Process(
                target=play, args=(arguments, mine, log, armed)
            )
            process.start()
            started.append(process)
        return started

    def finish(self) -> float:
        """Run to the end.

        Returns:
            Seconds.
        """
        begin = time.monotonic()
        processes = self.start()
        codes = wait(processes, 300)
        if any(codes):
            logs = [self.log(rank)[-3000:] for rank in range(self.processes)]
            raise AssertionError(
                '\n'.join([f'{self.scenario}: exit codes {codes}', *logs])
            )
        return time.monotonic() - begin


def wait(processes: Sequence[BaseProcess], seconds: float) -> list[int | None]:
    """Exit codes, once all have ended; None for those that did not in time."""
    end = time.monotonic() + seconds
    for process in processes:
        process.join(max(0.0, end - time.monotonic()))
    codes = [process.exitcode for process in processes]
    for process in processes:
        if process.exitcode is None:
            process.kill()
            process.join()
    return codes


@dataclass(frozen=True)
class Outcome:
    """What became of a run that was killed.

    Attributes:
        name: Of the point, or the time.
        scenario: Which run.
        reached: Whether it was killed at all.
        ended: Seconds until the other processes had ended; 0 for one alone.
        files: Label files that were there when it died.
        differences: From the run that went through; none is what we want.
    """

    name: str
    scenario: str
    reached: bool
    ended: float
    files: int
    differences: list[str]

    @property
    def survived(self) -> bool:
        """Whether the promise was kept."""
        return self.reached and not self.differences


def kill_at(point: Point, baseline: Run, folder: Path) -> Outcome:
    """Kill a run at a point, and see what becomes of it."""
    run = Run(point.scenario, folder, baseline.images)
    processes = run.start(point)
    victim = processes[point.rank]
    victim.join(300)
    return _aftermath(point.name, run, processes, victim.exitcode, baseline)


def kill_after(
    seconds: Sequence[float], baseline: Run, folder: Path, rank: int = 0
) -> Outcome:
    """Kill a run after each of some times, counted from its own starts."""
    run = Run(baseline.scenario, folder, baseline.images)
    name = ', then '.join(f'{one:.2f} s' for one in seconds)
    if run.processes > 1:
        name += f', rank {rank}'
    for one in seconds:
        processes = run.start()
        victim = processes[rank]
        victim.join(one)
        victim.kill()
        victim.join()
        if one is not seconds[-1]:
            wait(processes, PATIENCE)
    return _aftermath(name, run, processes, victim.exitcode, baseline)


def _aftermath(
    name: str,
    run: Run,
    processes: Sequence[BaseProcess],
    code: int | None,
    baseline: Run,
) -> Outcome:
    begin = time.monotonic()
    codes = wait(processes, PATIENCE)
    ended = time.monotonic() - begin if len(processes) > 1 else 0.0
    files = len(list((run.work_dir / 'labels').glob('round_*.npz')))
    problems = []
    if None in codes:
        problems.append(f'the others did not end within {PATIENCE:g} s')
    try:
        run.finish()
        problems += differences(run, baseline)
    except AssertionError as error:
        problems.append(str(error))
    return Outcome(name, run.scenario, code == -9, ended, files, problems)


def differences(run: Run, baseline: Run) -> list[str]:
    """What is not as if nothing had happened."""
    from PIL import Image

    from segal.report.compare import compare

    found = compare(baseline.work_dir, run.work_dir).differences()
    names = [
        {
            path.relative_to(one.work_dir).as_posix()
            for path in one.work_dir.rglob('*')
            if not timed(path.name)
        }
        for one in (baseline, run)
    ]
    found += [f'{name}: missing' for name in sorted(names[0] - names[1])]
    found += [f'{name}: left over' for name in sorted(names[1] - names[0])]
    for path in sorted(run.work_dir.rglob('*.png')):
        try:
            with Image.open(path) as picture:
                picture.load()
        except (OSError, SyntaxError) as error:
            found.append(f'{path.name}: {error}')
    return found


def timed(name: str) -> bool:
    """Whether a file is named after the time at which it was begun."""
    return name.endswith(('.log', '.log.json'))


def random_times(
    count: int, seconds: float, rng: random.Random
) -> list[list[float]]:
    """When to kill runs of so many seconds; every third one twice."""
    times = []
    for i in range(count):
        kills = 2 if i % 3 == 2 else 1
        times.append([rng.uniform(0, seconds / kills) for _ in range(kills)])
    return times
