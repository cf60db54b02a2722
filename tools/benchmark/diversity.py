"""Measure time and memory of diverse selections on one core.

First: choose images by random embeddings in clusters, a tenth of them
labelled; each way chooses as many again. Then: choose shortlisted pixels of a
whole pool. Seconds are processor time of one core. Each choice runs in a new
process, so that peak memory is its own.

Usage: python tools/benchmark/diversity.py [--images 3000] [--dims 512]
    [--choose 300] [--budget 1000 3000] [--shortlist 5] [--pixel-dims 128]

Ends with 1 where k-centre over the images takes 5 s or more.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from global_budget import peak, reset_peak
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from segal.active.selectors.diversity import (
    Gradients,
    Points,
    k_centre,
    k_means_plus_plus,
    typical,
)
from segal.seeding import place_keys

CLASSES = 19
LIMIT = 5.0
"""Seconds that k-centre over the images may take."""

Choice = Callable[
    [NDArray[np.float32], int, NDArray[np.bool_], NDArray[np.uint64]],
    NDArray[np.int64],
]

WAYS: dict[str, Choice] = {
    'k-centre': lambda x, n, taken, _: k_centre(Points(x), n, taken),
    'k-means++': lambda x, n, taken, ties: k_means_plus_plus(
        Points(x), n, taken, ties, 0
    ),
    'typical of clusters': lambda x, n, taken, ties: typical(
        x, n, taken, ties, 0
    ),
    'gradients': lambda x, n, taken, ties: k_means_plus_plus(
        Gradients(x, CLASSES), n, taken, ties, 0
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--images', type=int, default=3000)
    parser.add_argument('--dims', type=int, default=512)
    parser.add_argument('--choose', type=int, default=300)
    parser.add_argument('--budget', type=int, nargs='+', default=(1000, 3000))
    parser.add_argument('--shortlist', type=int, default=5)
    parser.add_argument('--pixel-dims', type=int, default=128)
    parser.add_argument('--in-child', nargs=5, help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.in_child:
        way, *numbers = args.in_child
        print(json.dumps(measure(way, *map(int, numbers))))
        return 0
    print(
        f'{args.images:,} images of {args.dims} numbers, {args.choose:,} '
        f'labelled and {args.choose:,} chosen'
    )
    seconds = {}
    for way in ('k-centre', 'k-means++', 'typical of clusters'):
        got = in_child(way, args.images, args.dims, args.choose, args.choose)
        seconds[way] = got['seconds']
        print(f'  {line(way, got)}', flush=True)
    for budget in args.budget:
        count = args.shortlist * budget
        print(
            f'\n{budget:,} of {count:,} pixels of {args.pixel_dims} features, '
            f'{4 * count * args.pixel_dims / 2**20:.0f} MiB of them'
        )
        for way in ('k-centre', 'k-means++', 'gradients'):
            extra = CLASSES if way == 'gradients' else 0
            got = in_child(way, count, args.pixel_dims + extra, budget, 0)
            print(f'  {line(way, got)}', flush=True)
    return 0 if seconds['k-centre'] < LIMIT else 1


def line(way: str, got: dict[str, float]) -> str:
    """Write one row of a table."""
    return (
        f'{way:20}  {got["seconds"]:8.2f} s  peak '
        f'{got["added"] / 2**20:6.0f} MiB added'
    )


def clumps(count: int, dims: int) -> NDArray[np.float32]:
    """Draw points in fifty clusters, off the origin: float32 (N, F)."""
    rng = np.random.default_rng(0)
    centres = rng.normal(2, 1, (50, dims)).astype(np.float32)
    found = centres[rng.integers(0, 50, count)]
    found += rng.normal(0, 0.5, (count, dims)).astype(np.float32)
    return found


def measure(
    way: str, count: int, dims: int, choose: int, labelled: int
) -> dict[str, float]:
    """Measure one choice in this process.

    Returns:
        ``seconds`` of a core, and the bytes ``added`` to the peak.
    """
    torch.set_num_threads(1)
    vectors = clumps(count, dims)
    ties = place_keys(1, np.arange(count))
    taken = np.arange(count) < labelled
    WAYS[way](vectors[:100], 2, taken[:100] & False, ties[:100])  # warm
    reset_peak()
    before = peak()
    begin = time.process_time()
    chosen = WAYS[way](vectors, choose, taken, ties)
    seconds = time.process_time() - begin
    if len(set(chosen.tolist())) != choose:
        raise RuntimeError('the budget was not spent')
    return dict(seconds=seconds, added=peak() - before)


def in_child(way: str, *numbers: int) -> dict[str, float]:
    """Run :func:`measure` in a new process."""
    command = [sys.executable, __file__, '--in-child', way]
    command += map(str, numbers)
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout)


if __name__ == '__main__':
    sys.exit(main())
