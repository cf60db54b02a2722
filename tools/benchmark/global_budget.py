"""Measure one pixel budget over a whole pool: memory, time, and gather.

Score maps are made one at a time from a seed, with many ties, as a query
hands them in; a fresh process shortlists them, and another one makes the same
maps and drops them. The difference of their peak memory is what the budget
adds. The choice is compared with sorting every pixel of a smaller pool.

Usage: python tools/benchmark/global_budget.py [--images 2975]
    [--size 1024 2048] [--budget 29750 297500] [--rising]

Ends with 1 where the choice is not exact or a budget adds 2 GiB or more.
"""

from __future__ import annotations

import argparse
import json
import pickle
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from segal.active.selectors import PixelsGlobal, QueryContext
from segal.seeding import key, place_keys
from segal.structures import Budget, PoolImage, Selection

SEED, ROUND = 0, 1
LIMIT = 2 * 2**30
"""Bytes that a budget may add to the peak of a process."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--images', type=int, default=2975)
    parser.add_argument('--size', type=int, nargs=2, default=(1024, 2048))
    parser.add_argument(
        '--budget', type=int, nargs='+', default=(29750, 297500)
    )
    parser.add_argument(
        '--levels', type=int, default=4096, help='different scores in a map'
    )
    parser.add_argument(
        '--rising',
        action='store_true',
        help='each map above all before it: the worst order',
    )
    parser.add_argument('--in-child', type=int, help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    maps = Maps(args.images, tuple(args.size), args.levels, args.rising)
    if args.in_child is not None:
        print(json.dumps(measure(maps, args.in_child)))
        return 0
    print(
        f'{args.images} maps of {args.size[0]}x{args.size[1]}, '
        f'{args.levels} different scores'
        + (', each above all before it' if args.rising else '')
    )
    dropped = in_child(args, 0)
    print(f'made and dropped: {dropped["making"]:.4f} s an image\n')
    print('  budget  shortlist an image   choose  peak added  gathered a rank')
    bounded = True
    for budget in args.budget:
        got = in_child(args, budget)
        added = got['peak'] - dropped['peak']
        bounded &= added < LIMIT
        print(
            f'{budget:8,}  {got["shortlist"]:16.4f} s  {got["choose"]:5.2f} s'
            f'  {added / 2**20:6.0f} MiB  {got["gathered"]:9,} bytes',
            flush=True,
        )
    small = Maps(40, (256, 512), 16, False)
    exact = [is_exact(small, budget) for budget in (400, 400_000)]
    print(
        f'\nexact: {"yes" if all(exact) else "NO"} (400 and 400,000 pixels of '
        '40 maps of 256x512 with 16 different scores, on 3 shards, against '
        'sorting them all)'
    )
    return 0 if all(exact) and bounded else 1


class Maps:
    """A pool and its score maps, each computed from its number.

    Args:
        count: Images.
        size: (H, W) of each.
        levels: Different scores in a map.
        rising: Whether each map lies above all before it.
    """

    def __init__(
        self, count: int, size: tuple[int, int], levels: int, rising: bool
    ) -> None:
        self.size, self.levels, self.rising = size, levels, rising
        self.pool = [
            PoolImage(
                'CityscapesDataset/leftImg8bit/train/aachen/'
                f'aachen_{i:06d}_000019_leftImg8bit.png',
                size,
            )
            for i in range(count)
        ]

    def make(self, i: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Make scores float32 (H, W) and available bool (H, W) of an image."""
        rng = np.random.default_rng((SEED, i))
        score = rng.integers(0, self.levels, self.size, np.uint16)
        score = score.astype(np.float32) / np.float32(self.levels)
        if self.rising:
            score += np.float32(i)
        available = np.ones(self.size, np.bool_)
        available.reshape(-1)[i % 7 :: 997] = False  # asked before
        return score, available

    def free(self) -> NDArray[np.int64]:
        """Count the available places, int64 (P,)."""
        pixels = self.size[0] * self.size[1]
        taken = [len(range(i % 7, pixels, 997)) for i in range(7)]
        counts = [pixels - taken[i % 7] for i in range(len(self.pool))]
        return np.array(counts, np.int64)

    def selector(self, budget: int) -> PixelsGlobal:
        """One rank's selector."""
        amount = Budget(budget, False)
        return PixelsGlobal(
            QueryContext(self.pool, self.free(), ROUND, SEED, amount)
        )


def measure(maps: Maps, budget: int) -> dict[str, float]:
    """Measure how this process spends a budget; 0 drops the maps.

    Returns:
        Seconds an image of ``making`` a map and of its ``shortlist``, seconds
        to ``choose``, ``peak`` bytes in memory, ``gathered`` bytes.
    """
    selector = maps.selector(budget)
    making = shortlist = 0.0
    reset_peak()
    for i, image in enumerate(maps.pool):
        begin = time.perf_counter()
        score, available = maps.make(i)
        made = time.perf_counter()
        if budget:
            selector.shortlist(image, score, available)
        making += made - begin
        shortlist += time.perf_counter() - made
    begin = time.perf_counter()
    candidates = selector.candidates()
    gathered = len(pickle.dumps(candidates))
    if len(selector.choose([candidates])) != budget:
        raise RuntimeError('the budget was not spent')
    return dict(
        making=making / len(maps.pool),
        shortlist=shortlist / len(maps.pool),
        choose=time.perf_counter() - begin,
        peak=peak(),
        gathered=gathered,
    )


def in_child(args: argparse.Namespace, budget: int) -> dict[str, float]:
    """Run :func:`measure` in a new process."""
    command = [sys.executable, __file__, '--in-child', str(budget)]
    command += ['--images', str(args.images), '--levels', str(args.levels)]
    command += ['--size', *map(str, args.size)]
    if args.rising:
        command.append('--rising')
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout)


def reset_peak() -> None:
    """Reset the peak of memory, to exclude imports (Linux)."""
    Path('/proc/self/clear_refs').write_text('5')


def peak() -> int:
    """Read the peak resident size of this process in bytes (Linux)."""
    for line in Path('/proc/self/status').read_text().splitlines():
        if line.startswith('VmHWM:'):
            return 1024 * int(line.split()[1])
    raise RuntimeError('/proc/self/status has no VmHWM')


def is_exact(maps: Maps, budget: int, ranks: int = 3) -> bool:
    """Check that some ranks choose the same as a sort of every pixel."""
    shards = []
    for rank in range(ranks):
        selector = maps.selector(budget)
        for i in reversed(range(rank, len(maps.pool), ranks)):
            selector.shortlist(maps.pool[i], *maps.make(i))
        shards.append(selector.candidates())
    got = selector.choose(shards[::-1])
    wanted = by_sorting(maps, budget)
    return list(got.places) == list(wanted.places) and all(
        np.array_equal(got.places[name], places)
        and np.array_equal(got.scores[name], wanted.scores[name])
        for name, places in wanted.places.items()
    )


def by_sorting(maps: Maps, budget: int) -> Selection:
    """Choose the best of all places, by score and then by tie key."""
    columns = []
    for i, image in enumerate(maps.pool):
        score, available = maps.make(i)
        places = np.flatnonzero(available)
        ties = place_keys(key(SEED, ROUND, 'tie', image.name), places)
        at = np.full(len(places), i)
        columns.append((at, places, score.reshape(-1)[places], ties))
    at, places, scores, ties = map(np.concatenate, zip(*columns, strict=True))
    chosen = np.lexsort((ties, -scores))[:budget]
    chosen = chosen[np.lexsort((places[chosen], at[chosen]))]
    selection = Selection(ROUND, 'pixel', {})
    for i in np.unique(at[chosen]):
        mine = chosen[at[chosen] == i]
        selection.places[maps.pool[i].name] = places[mine]
        selection.scores[maps.pool[i].name] = scores[mine]
    return selection


if __name__ == '__main__':
    sys.exit(main())
