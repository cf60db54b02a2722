"""Work through a list of runs on a machine that is lent for minutes.

    segal lease PLAN --minutes 14 --keep DIR [--from DIR]

Runs are experiments or scripts, in the order of the plan. The command ends
before its time is over: a round that would take longer is not begun. Labels
and rows of all runs, and results.json, are in the folder of --keep at the end
of each round, in at most 8 files of 16 MiB. With them the same command goes
on anywhere (--from: where they were copied to), each run with its next round.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from segal.arguments import make_parser, with_exit_codes
from segal.commands.sweep import Job, config_of
from segal.commands.train import command_of
from segal.errors import ConfigError
from segal.files import replace_json, shipped
from segal.lease.kept import bring_back, keep
from segal.lease.plan import Run, check_border, read_plan

PATIENCE = 30.0
"""Seconds that a run has to end at a safe point, before it is killed."""

POLL = 0.2
"""Seconds between two looks at a run."""

SPARE = 1.15
"""A round is begun where this much of the longest one so far is left."""


Child = subprocess.Popen[bytes]
Start = Callable[[list[str], Mapping[str, str], Path], Child]
"""Starts a command with an environment and a file for what it says."""


def start_process(
    command: list[str], environment: Mapping[str, str], out: Path
) -> Child:
    """Start a process of its own."""
    with out.open('ab') as file:
        return subprocess.Popen(
            command, env=dict(environment), stdout=file, stderr=file
        )


def _ended(child: Child, seconds: float) -> int | None:
    """Wait for the exit code of a process; None while it still runs."""
    with suppress(subprocess.TimeoutExpired):
        return child.wait(seconds)
    return None


class Lease:
    """Run a plan until its time is over.

    Args:
        runs: Of the plan.
        folder: Of the work_dirs.
        to: Folder for what is kept; it exists.
        seconds: Until the end.
        smoke: Run one iteration of everything in place of each run.
        start: Starts a process.
        clock: Seconds, from anywhere.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        folder: Path,
        to: Path,
        seconds: float,
        smoke: bool = False,
        start: Start = start_process,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.runs = runs
        self.folder = folder
        self.to = to
        self.smoke = smoke
        self.start = start
        self.clock = clock
        self.end = clock() + seconds
        self.wanted: dict[str, int] = {}
        self.failed: dict[str, str] = {}
        self.longest = 0.0

    @property
    def left(self) -> float:
        """Return the seconds until the end."""
        return self.end - self.clock()

    def check(self) -> None:
        """Read the config of each run.

        Raises:
            ConfigError: Everything that is wrong with one, or that keeps it
                from going on from labels and rows.
        """
        problems: list[str] = []
        for run in self.runs:
            if run.config:
                try:
                    config = config_of(run.config, self._job(run))
                    self.wanted[run.name] = len(config.phases)
                    problems += check_border(run, config)
                except ConfigError as error:
                    problems += [
                        f'run {run.name}: {one}' for one in error.problems
                    ]
        if problems:
            raise ConfigError(problems)

    def work(self) -> bool:
        """Run what is not finished, in order; return whether all is."""
        from segal.lease.results import is_finished

        self._measure()
        for run in self.runs:
            wanted = self.wanted.get(run.name, 1)
            if is_finished(run, self.folder, wanted) and not self.smoke:
                continue
            if not self._fits():
                _say(
                    f'{run.name}: not begun; a round takes up to '
                    f'{self.longest:.0f} s, {self.left:.0f} s are left'
                )
                self.keep()
                return False
            _say(f'{run.name}: begins, {self.left:.0f} s are left')
            stopped = self._run(run)
            self.keep()
            if stopped:
                _say(f'{run.name}: stopped, its time is over')
                return False
        return not self.failed

    def keep(self) -> None:
        """Write labels, rows and results into the folder that is kept."""
        from segal.lease.results import FILE, describe, output_of
        from segal.rounds import plain

        keep(
            [self.folder / run.name for run in self.runs if run.config],
            [output_of(run, self.folder) for run in self.runs if run.script],
            self.to,
        )
        told = describe(self.runs, self.folder, self.wanted, self.failed)
        replace_json(self.to / FILE, plain(told))

    def _fits(self) -> bool:
        """Say whether another round is likely to end in time."""
        return self.left > self.longest * SPARE

    def _run(self, run: Run) -> bool:
        """Run one item; return whether it was stopped, for time."""
        out = self.folder / f'{run.name}.out'
        child = self.start(*self._command(run), out)
        stopped, state, since = False, self._state(run), self.clock()
        while (code := _ended(child, POLL)) is None:
            now = self._state(run)
            if now != state:
                state = now
                if run.config and now[0] < now[1]:  # a border of rounds
                    self.longest = max(self.longest, self.clock() - since)
                    since = self.clock()
                    self.keep()
                    more = now[0] < self.wanted[run.name]
                    stopped = more and not self._fits()
            stopped = stopped or self.left <= 0
            if stopped:
                code = self._stop(child)
                break
        if code and not stopped:
            self.failed[run.name] = _last_words(out, code)
            _say(f'{run.name}: failed ({self.failed[run.name]}); see {out}')
        return stopped

    def _stop(self, child: Child) -> int | None:
        """End a run at its next safe point, or at once if it takes long."""
        child.send_signal(signal.SIGTERM)
        code = _ended(child, PATIENCE)
        if code is None:
            child.kill()
            code = child.wait()
        return code

    def _state(self, run: Run) -> tuple[int, int]:
        """Count the finished rounds of a run, and its label files."""
        from segal.rounds import read_rounds

        work_dir = self.folder / run.name
        files = len(list((work_dir / 'labels').glob('round_*.npz')))
        rows = len(read_rounds(work_dir)) if run.config else 0
        if rows == self.wanted.get(run.name):
            files = rows + 1  # no query follows
        return rows, files

    def _measure(self) -> None:
        """Read how long the rounds of earlier leases took."""
        from segal.rounds import read_rounds

        for run in self.runs:
            for row in read_rounds(self.folder / run.name):
                seconds = sum(filter(None, row['seconds'].values()))
                self.longest = max(self.longest, seconds)

    def _job(self, run: Run) -> Job:
        return Job('', run.seed, self.folder / run.name, run.options)

    def _command(self, run: Run) -> tuple[list[str], dict[str, str]]:
        """Build the command line and the environment of a run."""
        if run.script:
            from segal.lease.results import output_of

            path = str(shipped())
            before = os.environ.get('PYTHONPATH')
            environment = dict(
                os.environ,
                PYTHONPATH=os.pathsep.join(filter(None, [path, before])),
            )
            words = [*run.arguments, *(['--smoke'] if self.smoke else [])]
            output = str(output_of(run, self.folder))
            command = [sys.executable, run.script, *words, '--out', output]
            return command, environment
        words = ['--work-dir', str(self.folder / run.name)]
        words += ['--seed', str(run.seed)]
        if run.options:
            words += ['--cfg-options', *run.options]
        if self.smoke:
            words.append('--smoke')
        return command_of(run.config, '1', words, os.environ)


def _last_words(out: Path, code: int) -> str:
    """Return the last line that a failed run wrote."""
    lines = out.read_text(errors='replace').strip().splitlines()
    return f'exit code {code}: {lines[-1][:300] if lines else "no words"}'


def _say(text: str) -> None:
    sys.stderr.write(f'lease: {text}\n')


@with_exit_codes
def main(arguments: Sequence[str] | None = None) -> int:
    """Work through a plan; 0 where all of it is done, 3 where time is over."""
    parser = make_parser(
        __doc__,
        'lease experiments/camvid_lease/plan.toml --minutes 14 --keep kept',
    )
    parser.add_argument('plan', type=Path)
    parser.add_argument('--minutes', type=float, default=14.0)
    parser.add_argument(
        '--keep',
        type=Path,
        default=Path('lease'),
        metavar='DIR',
        help='folder for what is kept, and of earlier leases (lease)',
    )
    parser.add_argument(
        '--from',
        dest='source',
        type=Path,
        metavar='DIR',
        help='folder with what an earlier lease kept, if it is another',
    )
    parser.add_argument(
        '--work-dir',
        type=Path,
        default=Path('work_dirs/lease'),
        metavar='DIR',
        help='folder of the runs (work_dirs/lease)',
    )
    parser.add_argument(
        '--smoke',
        action='store_true',
        help='rehearse: one iteration of everything in place of each run',
    )
    args = parser.parse_args(arguments)
    begin = time.monotonic()
    from segal import compat

    compat.apply()
    runs = read_plan(args.plan)
    for folder in (args.keep, args.work_dir):
        folder.mkdir(parents=True, exist_ok=True)
    found = bring_back(args.source or args.keep, args.work_dir)
    if found:
        _say(f'brought back {", ".join(found)}')
    seconds = 60 * args.minutes - (time.monotonic() - begin)
    lease = Lease(
        runs, args.work_dir, args.keep, seconds - PATIENCE, args.smoke
    )
    lease.check()
    done = lease.work()
    if lease.failed:
        return 1
    _say('all is done' if done else 'the same command goes on')
    return 0 if done else 3
