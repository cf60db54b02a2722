"""Measure the label state on disk, in memory, and in loader workers.

The last line is the sum over some processes, each with its own arrays and
with forked loader workers that read every label.

Usage: python tools/benchmark/label_state.py [--images 2975] [--per-image 10]
    [--rounds 10] [--processes 2] [--workers 4]

Ends with 1 where the sum is 8 MiB or more.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from segal.active.label_store.store import LabelStore
from segal.structures import (
    LABELLED,
    Answers,
    PixelAnswers,
    PoolImage,
    Selection,
)

SIZE = (1024, 2048)
LIMIT = 8 * 2**20
"""Bytes that the label state may take in all processes and workers."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--images', type=int, default=2975)
    parser.add_argument('--per-image', type=int, default=10)
    parser.add_argument('--rounds', type=int, default=10)
    parser.add_argument('--processes', type=int, default=2)
    parser.add_argument('--workers', type=int, default=4)
    args = parser.parse_args(arguments)
    pool = [
        PoolImage(
            'CityscapesDataset/leftImg8bit/train/aachen/'
            f'aachen_{i:06d}_000019_leftImg8bit.png',
            SIZE,
        )
        for i in range(args.images)
    ]
    with tempfile.TemporaryDirectory() as folder:
        store = LabelStore(Path(folder), pool)
        for number in range(args.rounds):
            store.append(made_up(pool, store, number, args.per_image))
        labels = args.images * args.per_image * args.rounds
        disk = sum(
            path.stat().st_size
            for path in Path(folder).rglob('*')
            if path.is_file()
        )
        print(
            f'{args.images} images x {args.per_image} labels x '
            f'{args.rounds} rounds = {labels} labels'
        )
        print(f'on disk    {disk / labels:6.2f} bytes a label')
        print(
            f'in memory  {store.nbytes / labels:6.2f} bytes a label '
            f'({store.nbytes / 2**20:.2f} MiB)'
        )
        # One rank has written the labels, the others read them.
        arrays, private = 0, []
        for number in range(args.processes):
            ours = LabelStore(Path(folder), pool) if number else store
            arrays += ours.nbytes
            private += [
                worker_private(ours, pool) for _ in range(args.workers)
            ]
            del ours
    print(
        f'a loader worker that reads all labels adds '
        f'{max(private) / labels:6.2f} bytes a label of its own '
        f'({max(private) / 2**20:.2f} MiB beyond a worker that reads none)'
    )
    total = arrays + sum(private)
    print(
        f'in all     {total / labels:6.2f} bytes a label '
        f'({total / 2**20:.2f} MiB: {args.processes} processes x '
        f'{args.workers} workers, {arrays / 2**20:.2f} MiB of arrays, '
        f'{sum(private) / 2**20:.2f} MiB private to workers)'
    )
    return 0 if total < LIMIT else 1


def made_up(
    pool: list[PoolImage], store: LabelStore, number: int, count: int
) -> Answers:
    """Make answers for places that were not asked yet."""
    places = {
        image.name: np.arange(count, dtype=np.int64) * 997 + number
        for image in pool
    }
    return Answers(
        Selection(number, 'pixel', places),
        {
            name: PixelAnswers(
                where,
                np.zeros(count, np.uint8),
                np.full(count, LABELLED, np.uint8),
            )
            for name, where in places.items()
        },
    )


def worker_private(store: LabelStore, pool: list[PoolImage]) -> int:
    """Measure the private bytes of a forked process that reads every label."""
    used = []
    for reads in (False, True):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            for image in pool:
                hash((image.name, image.size))  # touches what is the pool's
                if reads:
                    store.history(image.name)
            os.write(writer, str(private_bytes()).encode())
            os._exit(0)
        os.waitpid(child, 0)
        used.append(int(os.read(reader, 64)))
        os.close(reader)
        os.close(writer)
    return max(used[1] - used[0], 0)


def private_bytes() -> int:
    """Read the private memory of this process (Linux)."""
    lines = Path('/proc/self/smaps_rollup').read_text().splitlines()
    return 1024 * sum(
        int(line.split()[1]) for line in lines if line.startswith('Private_')
    )


if __name__ == '__main__':
    sys.exit(main())
