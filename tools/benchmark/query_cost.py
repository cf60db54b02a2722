"""Measure a query beside plain inference of the same network.

Prints the ratio of (probabilities, checks, score, selection) to
``model.inference`` (resize and softmax) on the same batches, as the median
over pairs measured in turn in one process, in processor time, so that other
work on the machine counts little. Of a heuristic with dropout it also prints
what its passes, score and selection cost beside as many times that part of the
network which follows the first dropout (resize and softmax included), the part
before it paid once: beside that part with the dropout of ``nn.Dropout`` on, as
stochastic passes need it, and without any.

Usage: python tools/benchmark/query_cost.py [--heuristic Margin] [--pairs 20]
    [--heuristic "dict(type='BALD', passes=10)"]
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
from segal.active.selectors import PixelsPerImage, QueryContext
from segal.config.parts import resolve_heuristic
from segal.model_wrapper import ModelWrapper
from segal.models.mc_dropout import dropouts
from segal.query_folder.parts import parse_part
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
    part, _ = resolve_heuristic(
        parse_part(args.heuristic, '--heuristic'), None
    )
    heuristic = build_from_cfg(dict(part), HEURISTICS)
    passes = heuristic.passes if 'samples' in heuristic.needs else 0
    reached: list[float] = []  # when the first dropout began
    first = dropouts(wrapper.model)[0]
    first.register_forward_pre_hook(
        lambda *_: reached.append(time.process_time())
    )
    free = np.full(len(pool), height * width)
    selector = PixelsPerImage(
        QueryContext(pool, free, 0, 0, Budget(10, True)), top_percent=5.0
    )
    available = np.ones((height, width), bool)
    generator = torch.Generator().manual_seed(0)

    asked_of = iter(pool)

    def plain(batch: dict) -> None:
        wrapper.model.inference(batch['img'][0], [meta], rescale=True)

    def query(batch: dict) -> None:
        image, probs = next(asked_of), None
        if 'probs' in heuristic.needs:
            probs = wrapper.probabilities(batch)[0]
        asked = Prediction(image.name, image.size, 0, 0, probs)
        with wrapper.more(batch, 0, heuristic.needs, asked) as more:
            score = heuristic(more)
        selector.shortlist(image, score.cpu().numpy(), available)

    def dropping(batch: dict) -> None:
        for module in dropouts(wrapper.model):
            module.train()
        plain(batch)
        for module in dropouts(wrapper.model):
            module.eval()

    runs = dict(plain=plain, query=query)
    if passes:
        runs['dropping'] = dropping
    ratios, inference = [], []
    of_passes: dict[str, list[float]] = dict(plain=[], dropping=[])
    with wrapper.evaluating():
        for i in range(len(pool)):
            batch = dict(
                img=[torch.randn(1, 3, height, width, generator=generator)],
                img_metas=[DataContainer([[meta]], cpu_only=True)],
            )
            seconds, after = {}, {}
            for which in list(runs)[:: 1 if i % 2 else -1]:
                begin = time.process_time()
                runs[which](batch)
                end = time.process_time()
                seconds[which] = end - begin
                after[which] = end - reached[-1] if reached else 0.0
            if i >= 2:  # the first two warm up
                ratios.append(seconds['query'] / seconds['plain'])
                inference.append(seconds['plain'])
            if i >= 2 and passes:
                before = seconds['plain'] - after['plain']
                for which, found in of_passes.items():
                    found.append(
                        (seconds['query'] - before) / passes / after[which]
                    )
    print(
        f'{args.heuristic}, {height}x{width}, {len(ratios)} pairs: inference '
        f'{1000 * statistics.median(inference):.0f} ms an image; query / '
        f'inference = {statistics.median(ratios):.3f} '
        f'(quartiles {np.quantile(ratios, 0.25):.3f} to '
        f'{np.quantile(ratios, 0.75):.3f})'
    )
    if passes:
        for which, found in of_passes.items():
            how = 'with its dropout' if which == 'dropping' else 'in eval mode'
            print(
                f'{passes} passes / {passes} times what follows the first '
                f'dropout, {how} = {statistics.median(found):.3f} (quartiles '
                f'{np.quantile(found, 0.25):.3f} to '
                f'{np.quantile(found, 0.75):.3f})'
            )


if __name__ == '__main__':
    main()
