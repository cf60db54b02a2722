"""Measure whether a long experiment grows: quickstart, 200 short rounds.

A process of its own runs it, with pictures and the text log. After each round
a hook samples that process: memory, open files, processes, threads, seconds,
and bytes written. Then it is started again where it ended, beside one that
ended after five rounds.

Usage: python tools/benchmark/long_run.py [--rounds 200]
    [--cfg-options key=value ...] [--work-dir DIR]

Ends with 1 where, from round 5 on, the memory grew by over 5 % or 30 MiB, or
the open files, processes or threads grew at all.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

SHOWN = (5, 10, 50, 100, 150, 200)
SETTLED = 5
"""The first round that counts: before it, caches fill."""

HEADS = {
    'round': ('round', '{:.0f}', 1),
    'rss': ('memory', '{:.1f} MiB', 2**20),
    'all': ('with workers', '{:.1f} MiB', 2**20),
    'used': ('in use', '{:.2f} MiB', 2**20),
    'files': ('files', '{:.0f}', 1),
    'processes': ('processes', '{:.0f}', 1),
    'threads': ('threads', '{:.0f}', 1),
    'seconds': ('a round', '{:.2f} s', 1),
    'cpu': ('of CPU', '{:.2f} s', 1),
    'written': ('written', '{:.2f} MiB', 2**20),
    'kept': ('kept', '{:.2f} MiB', 2**20),
}
"""A sample: its head, how it is shown, and in which unit."""

CONFIG = """
_base_ = {base!r}
workflow = [('train', 1), ('query', 1)]
runner = dict(sample_rounds={rounds})
active_learning = dict(
    settings=dict(pixel=dict(query_size=1, initial_label_pixels=1)))
custom_hooks = [dict(
    type='SampleProcess', samples={samples!r}, priority='LOWEST')]
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=200)
    parser.add_argument(
        '--base', default='experiments/quickstart/quickstart.py'
    )
    parser.add_argument('--cfg-options', nargs='+', default=[])
    parser.add_argument('--work-dir', type=Path, help='keeps everything there')
    parser.add_argument('--in-child', type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.in_child is not None:
        return in_child(args.in_child, args.cfg_options)
    with tempfile.TemporaryDirectory() as temporary:
        folder = (args.work_dir or Path(temporary)).absolute()
        print('  '.join(head.rjust(12) for head, _, _ in HEADS.values()))
        samples = run(folder / 'long', args.rounds, args, show=True)
        print()
        grown = judge(samples)
        print('\nstarted again where it ended, imports aside:')
        if args.rounds > SETTLED:
            run(folder / 'short', SETTLED, args)
            print(f'  {SETTLED} rounds: {start_again(folder / "short", args)}')
        print(f'  {args.rounds} rounds: {start_again(folder / "long", args)}')
    print('no growth' if not grown else f'grew: {", ".join(grown)}')
    return 1 if grown else 0


def run(
    folder: Path, rounds: int, args: argparse.Namespace, show: bool = False
) -> list[dict[str, float]]:
    """Run an experiment in a process of its own.

    Args:
        folder: For everything: config, work_dir, samples and output.
        rounds: How many.
        args: The command line.
        show: Whether to print samples as they come.

    Returns:
        One sample a round.
    """
    folder.mkdir(parents=True)
    samples = folder / 'samples.jsonl'
    (folder / 'config.py').write_text(
        CONFIG.format(
            base=str(ROOT / args.base), rounds=rounds, samples=str(samples)
        )
    )
    shown = {*SHOWN, rounds}
    child = start(folder, args)
    rows: list[dict[str, float]] = []
    ended = False
    while not ended:
        ended = child.poll() is not None
        seen, rows = len(rows), read(samples)
        for row in rows[seen:]:
            if show and row['round'] in shown:
                print('  '.join(cells(row)), flush=True)
        time.sleep(0.5)
    if child.returncode or len(rows) != rounds:
        text = (folder / 'output.log').read_text()
        raise SystemExit(
            f'{text[-2000:]}\nthe run ended with {child.returncode} after '
            f'{len(rows)} of {rounds} rounds'
        )
    return rows


def start(folder: Path, args: argparse.Namespace) -> subprocess.Popen:
    """Start or continue the experiment of a folder."""
    command = [sys.executable, __file__, '--in-child', str(folder)]
    if args.cfg_options:
        command += ['--cfg-options', *args.cfg_options]
    with open(folder / 'output.log', 'a') as output:
        return subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env={'OMP_WAIT_POLICY': 'PASSIVE', **os.environ},
        )


def start_again(
    folder: Path, args: argparse.Namespace, starts: int = 3
) -> str:
    """Measure seconds to "going on" and to the end, medians of some starts."""
    seconds = []
    for _ in range(starts):
        if start(folder, args).wait():
            raise SystemExit((folder / 'output.log').read_text()[-2000:])
        seconds.append(json.loads((folder / 'again.json').read_text()))
    going_on, over = np.median(seconds, axis=0)
    return f'going on after {going_on:.2f} s, over after {over:.2f} s'


def read(samples: Path) -> list[dict[str, float]]:
    """Read the samples that were written so far."""
    if not samples.exists():
        return []
    text = samples.read_text()
    return [json.loads(line) for line in text[: text.rfind('\n') + 1].split()]


def cells(sample: dict[str, float]) -> list[str]:
    """Format a sample as a row of the table."""
    return [
        words.format(sample[name] / unit).rjust(12)
        for name, (_, words, unit) in HEADS.items()
    ]


def judge(samples: Sequence[dict[str, float]]) -> list[str]:
    """Print the slopes.

    Args:
        samples: One a round, the first round first.

    Returns:
        What grew.
    """
    settled = samples[min(SETTLED, len(samples)) - 1 :]
    rounds = [row['round'] for row in settled]
    few = max(1, min(5, len(settled) // 2))
    grown = []
    for name, (head, words, unit) in HEADS.items():
        if name == 'round':
            continue
        values = np.array([row[name] for row in settled]) / unit
        slope = np.polyfit(rounds, values, 1)[0] if len(rounds) > 1 else 0.0
        first, last = (np.median(x) for x in (values[:few], values[-few:]))
        unit_word = words.partition('}')[2]  # with a space before it
        print(
            f'{head:>12}  {slope:+.4f}{unit_word} a round: '
            f'{words.format(first)} in rounds {rounds[0]:.0f} to '
            f'{rounds[few - 1]:.0f}, {words.format(last)} in the last {few}'
        )
        if name in ('rss', 'all', 'used') and (
            last - first > 30 or last > 1.05 * first
        ):
            grown.append(head)
        if name in ('files', 'processes', 'threads') and last > first:
            grown.append(head)
    return grown


def in_child(folder: Path, options: list[str]) -> int:
    """Run the experiment of a folder in this process."""
    import segal.utils.train  # noqa: F401  (imports are not measured)
    from segal.train_active_learning import main as train

    register()
    begin = time.perf_counter()
    seconds = []

    class GoingOn(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage().startswith('going on in'):
                seconds.append(time.perf_counter() - begin)

    logging.getLogger('mmseg').addHandler(GoingOn())
    command = [str(folder / 'config.py'), '--work-dir', str(folder / 'run')]
    if options:
        command += ['--cfg-options', *options]
    code = train(command)
    seconds.append(time.perf_counter() - begin)
    (folder / 'again.json').write_text(json.dumps(seconds))
    return code


def register() -> None:
    """Register the hook that takes samples."""
    from mmcv.runner import HOOKS, Hook

    sampler = Sampler()  # each round has hooks of its own, all share this

    @HOOKS.register_module()
    class SampleProcess(Hook):
        """Samples this process at the end of each round.

        Args:
            samples: File for one JSON object a line.
        """

        def __init__(self, samples: str) -> None:
            self.samples = Path(samples)

        def after_round(self, runner: Any, report: Any) -> None:
            """Take a sample, after all other hooks."""
            sample = sampler.take(report.work_dir)
            row = {'round': report.row['round'] + 1, **sample}
            with open(self.samples, 'a') as file:
                file.write(json.dumps(row, separators=(',', ':')) + '\n')


class Sampler:
    """Samples this process, round by round (Linux)."""

    def __init__(self) -> None:
        self.process = psutil.Process()
        self.at = time.perf_counter()
        self.cpu = sum(self.process.cpu_times()[:4])
        self.pictures = self.kept = 0
        self.chars = self.process.io_counters().write_chars

    def take(self, work_dir: Path) -> dict[str, float]:
        """Measure the process, and the round's time and files.

        ``all`` is its memory and what each worker has for itself; ``used`` is
        what the allocator has handed out, without what it holds free: it
        hardly varies, and shows a leak long before ``rss`` does. ``written``
        is everything that was handed to the system to write, the log on the
        terminal included and pictures left out; ``kept`` is what stays.
        """
        children = self.process.children(recursive=True)
        rss = self.process.memory_info().rss
        sample = dict(
            rss=rss,
            all=rss + sum(one.memory_full_info().uss for one in children),
            used=allocated(),
            files=self.process.num_fds(),
            processes=1 + len(children),
            threads=self.process.num_threads(),
            seconds=time.perf_counter() - self.at,
        )
        cpu = sum(self.process.cpu_times()[:4])  # with workers that ended
        sample['cpu'], self.cpu = cpu - self.cpu, cpu
        curve = work_dir / 'curve.png'
        pictures = kept = 0
        for path in work_dir.rglob('*'):
            if path.is_file() and not path.is_symlink() and path != curve:
                size = path.stat().st_size
                if path.suffix == '.png':
                    pictures += size
                else:
                    kept += size
        drawn = pictures - self.pictures  # and the curve, anew each round
        drawn += curve.stat().st_size if curve.exists() else 0
        chars = self.process.io_counters().write_chars
        sample['written'] = chars - self.chars - drawn
        sample['kept'] = kept - self.kept
        self.at = time.perf_counter()
        self.pictures, self.kept = pictures, kept
        self.chars = self.process.io_counters().write_chars
        return sample


class _MallInfo(ctypes.Structure):
    """The statistics of glibc's allocator."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *('arena', 'ordblks', 'smblks', 'hblks', 'hblkhd'),
            *('usmblks', 'fsmblks', 'uordblks', 'fordblks', 'keepcost'),
        )
    ]


def allocated() -> int:
    """Read the bytes in use of glibc's heaps; 0 if unknown."""
    tell = getattr(ctypes.CDLL(None), 'mallinfo2', None)
    if tell is None:
        return 0
    tell.restype = _MallInfo
    info = tell()
    return info.uordblks + info.hblkhd


if __name__ == '__main__':
    sys.exit(main())
