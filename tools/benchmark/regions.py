"""Measure regions: the search of squares, and a query of superpixels.

Squares: the best that do not overlap, at 1024x2048, beside one argmax for
each (which gives the same, ties included, or this fails). Superpixels: a
query of the margin beside plain inference at 360x480, cut once before.

Usage: python tools/benchmark/regions.py [--squares 1000 5000] [--pairs 10]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mmcv
import numpy as np
import torch
from common import reference_network, write_images
from mmcv.parallel import DataContainer
from numpy.typing import NDArray

from segal.active.heuristics import Margin
from segal.active.selectors import QueryContext, RegionsPerImage
from segal.active.units.regions import Squares, Superpixels, Wanted
from segal.active.units.regions.picking import pick_apart
from segal.model_wrapper import ModelWrapper
from segal.seeding import place_keys
from segal.structures import Budget, PoolImage, Prediction


def ties(at: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Compute the tie keys of squares."""
    return place_keys(1, at)


def one_argmax_each(
    values: NDArray[np.float32], reach: int, count: int
) -> list[int]:
    """Find squares with one argmax each, as a reference; change ``values``."""
    width, found = values.shape[1], []
    flat = values.reshape(-1)
    for _ in range(count):
        level = np.flatnonzero(flat == flat[flat.argmax()])
        place = int(level[ties(level).argmin()])
        row, column = divmod(place, width)
        values[
            max(0, row - reach) : row + reach + 1,
            max(0, column - reach) : column + reach + 1,
        ] = -np.inf
        found.append(place)
    return found


def smooth_scores(size: tuple[int, int]) -> NDArray[np.float32]:
    """Draw a score map: smooth, with ridges and flat parts."""
    rng = np.random.default_rng(0)
    coarse = rng.random((size[0] // 16, size[1] // 16)).astype(np.float32)
    score = mmcv.imresize(coarse, size[::-1]) ** 4
    score += 0.02 * rng.random(size).astype(np.float32)
    return np.maximum(score, 0.05).astype(np.float32)


def squares(count: int, radius: int) -> None:
    """Time both ways, and compare their squares."""
    size = (1024, 2048)
    nothing, everything = np.zeros(size, bool), np.ones(size, bool)
    values, _ = Squares(radius).values(
        smooth_scores(size), nothing, everything, 'mean'
    )
    ours, found = _timed(
        lambda: pick_apart(values, 2 * radius, ties, Wanted(regions=count)), 5
    )
    reference, wanted = _timed(
        lambda: one_argmax_each(values.copy(), 2 * radius, count), 1
    )
    if found.tolist() != wanted:
        raise SystemExit(f'radius {radius}: other squares than the reference')
    print(
        f'{count:,} squares of {2 * radius + 1} x {2 * radius + 1} at '
        f'1024x2048: {1000 * ours:.0f} ms, one argmax each '
        f'{1000 * reference:,.0f} ms: {reference / ours:.0f} times as fast'
    )


def _timed(work: Callable[[], Any], times: int) -> tuple[float, Any]:
    """Return the median of processor seconds, and the result."""
    seconds = []
    for _ in range(times):
        begin = time.process_time()
        result = work()
        seconds.append(time.process_time() - begin)
    return statistics.median(seconds), result


def superpixels(pairs: int) -> None:
    """Time a query beside plain inference, in turn."""
    size = (360, 480)
    wrapper = ModelWrapper(reference_network(), torch.device('cpu'))
    meta = dict(ori_shape=(*size, 3), img_shape=(*size, 3), flip=False)
    with tempfile.TemporaryDirectory() as folder, wrapper.evaluating():
        root = Path(folder)
        write_images(root, pairs, size)
        files = sorted((root / 'images').iterdir())
        pool = [PoolImage(path.name, size) for path in files]
        shape = Superpixels(
            lambda name: mmcv.imread(
                str(root / 'images' / name), channel_order='rgb'
            ),
            lambda name: str(root / 'images' / name),
            root / 'superpixels',
        )
        cutting, _ = _timed(lambda: [shape.labels(x) for x in pool], 1)
        free = np.full(pairs, size[0] * size[1])
        selector = RegionsPerImage(
            QueryContext(pool, free, 1, 0, Budget(10, True), unit=shape)
        )
        ratios = []
        for i, image in enumerate(pool):
            batch = dict(
                img=[torch.randn(1, 3, *size)],
                img_metas=[DataContainer([[meta]], cpu_only=True)],
            )
            begin = time.process_time()
            wrapper.model.inference(batch['img'][0], [meta], rescale=True)  # type: ignore[operator]
            plain = time.process_time() - begin
            begin = time.process_time()
            probs = wrapper.probabilities(batch)[0]
            score = Margin()(Prediction(image.name, size, 0, 1, probs=probs))
            selector.shortlist(image, score.cpu().numpy(), np.ones(size, bool))
            if i >= 2:  # the first two warm up
                ratios.append((time.process_time() - begin) / plain)
    print(
        f'superpixels at 360x480, {len(ratios)} pairs: cutting '
        f'{1000 * cutting / pairs:.0f} ms an image, once; query / inference = '
        f'{statistics.median(ratios):.3f} (quartiles '
        f'{np.quantile(ratios, 0.25):.3f} to {np.quantile(ratios, 0.75):.3f})'
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--squares', type=int, nargs='+', default=[1000, 5000])
    parser.add_argument('--radius', type=int, nargs='+', default=[1, 16])
    parser.add_argument('--pairs', type=int, default=12)
    args = parser.parse_args()
    for radius in args.radius:
        for count in args.squares:
            squares(count if radius == 1 else count // 10, radius)
    superpixels(args.pairs)


if __name__ == '__main__':
    main()
