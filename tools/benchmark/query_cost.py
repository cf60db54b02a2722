"""What a query costs beside plain inference of the same network.

Prints the ratio of (probabilities, checks, score, selection) to
``model.inference`` (resize and softmax) on the same batches, as the median
over pairs measured in turn in one process.

Usage: python tools/benchmark/query_cost.py [--heuristic Margin] [--pairs 20]
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import torch
from common import reference_network
from mmcv.parallel import DataContainer
from mmcv.utils import build_from_cfg

import segal.active.heuristics  # noqa: F401  (fills the registry)
from segal.active.selectors import PixelsPerImage
from segal.model_wrapper import ModelWrapper
from segal.registry import HEURISTICS
from segal.structures import Budget, PoolImage, Prediction


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--heuristic', default='Margin')
    parser.add_argument('--pairs', type=int, default=20)
    parser.add_argument('--size', type=int, nargs=2, default=(360, 480))
    args = parser.parse_args()
    height, width = args.size
    wrapper = ModelWrapper(reference_network(), torch.device('cpu'))
    meta = dict(
        ori_shape=(height, width, 3), img_shape=(height, width, 3), flip=False
    )
    pool = [
        PoolImage(f'image {i}', (height, width)) for i in range(args.pairs)
    ]
    heuristic = build_from_cfg(dict(type=args.heuristic), HEURISTICS)
    selector = PixelsPerImage(
        pool,
        np.full(len(pool), height * width),
        Budget(10, True),
        0,
        0,
        top_percent=5.0,
    )
    available = np.ones((height, width), bool)
    generator = torch.Generator().manual_seed(0)

    def plain(batch: dict) -> None:
        wrapper.model.inference(batch['img'][0], [meta], rescale=True)

    def query(batch: dict, image: PoolImage) -> None:
        probs = wrapper.probabilities(batch)[0]
        score = heuristic(
            Prediction(
                name=image.name, size=image.size, seed=0, round=0, probs=probs
            )
        )
        selector.shortlist(image, score.cpu().numpy(), available)

    ratios, inference = [], []
    with wrapper.evaluating():
        for i, image in enumerate(pool):
            batch = dict(
                img=[torch.randn(1, 3, height, width, generator=generator)],
                img_metas=[DataContainer([[meta]], cpu_only=True)],
            )
            seconds = {}
            order = ['plain', 'query'] if i % 2 else ['query', 'plain']
            for which in order:
                begin = time.perf_counter()
                plain(batch) if which == 'plain' else query(batch, image)
                seconds[which] = time.perf_counter() - begin
            if i >= 2:  # the first two warm up
                ratios.append(seconds['query'] / seconds['plain'])
                inference.append(seconds['plain'])
    print(
        f'{args.heuristic}, {height}x{width}, {len(ratios)} pairs: inference '
        f'{1000 * statistics.median(inference):.0f} ms an image; query / '
        f'inference = {statistics.median(ratios):.3f} '
        f'(quartiles {np.quantile(ratios, 0.25):.3f} to '
        f'{np.quantile(ratios, 0.75):.3f})'
    )


if __name__ == '__main__':
    main()
