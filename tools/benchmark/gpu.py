"""Measure training and queries of the CamVid recipe beside mmseg's own loop.

Prints a table (and writes JSON with --out): for mmseg's own training loop in
single precision, and for ours with several values of ``speed``, the time of an
iteration, the share of it that waits for data, the peak of memory, and a query
of all images beside plain inference. Network, images, augmentation, batch and
workers are the same; mmseg's loop learns from whole label maps, ours from 10
pixels an image. On a GPU times are on the clock, the device synchronised at
both ends; on CPU they are processor time of this process, so that nothing of
the workers is in it.

Usage: python tools/benchmark/gpu.py [--out FILE.json] [--smoke]
    [--variants NAME ...] [--iterations 150] [--seconds 110]
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import statistics
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import mmcv
import numpy as np
import torch
from common import ROOT
from mmcv.runner import HOOKS, Hook
from mmseg.apis import train_segmentor
from mmseg.datasets import build_dataset
from mmseg.models import build_segmentor

from segal.active.dataset.pool import query_loader
from segal.config import load_config
from segal.experiment.work_dir import open_log
from segal.files import replace_json
from segal.runner.active_learning_runner import ActiveLearningRunner
from segal.runner.machine import commit_of
from segal.utils.train import Options, build, prepare

CONFIG = ROOT / 'experiments/camvid_pixelpick/margin.py'
MMSEG = 'mmseg'
FAST = dict(channels_last=True, precision='bf16', fused=True)
VARIANTS: dict[str, tuple[dict[str, Any], bool]] = {
    'ours': ({}, False),
    'channels_last': (dict(channels_last=True), True),
    'bf16': (FAST, True),
    'bf16, colours on device': ({**FAST, 'augment_on_device': True}, True),
    'bf16, compiled': ({**FAST, 'compile': True}, True),
    'bf16, CUDA graphs': ({**FAST, 'compile': 'cuda_graphs'}, True),
}
"""Name -> ``speed``, and whether losses are evaluated at labels."""

QUICK = ('ours', 'channels_last', 'bf16')
GPU = torch.cuda.is_available()
MARKS: list[dict[str, float]] = []
"""What the hook of the last loop measured."""


def now() -> float:
    """Return the time that is measured, in seconds."""
    if not GPU:
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


class TimingHook(Hook):
    """Measure the iterations of a loop after the first ones.

    Args:
        warm: Iterations before.
        end: The iteration at whose begin the measurement ends.
    """

    def __init__(self, warm: int, end: int) -> None:
        self.warm = warm
        self.end = end
        self.left = self.waited = self.begin = 0.0

    def before_train_iter(self, runner: Any) -> None:
        """Begin or end the measurement."""
        if self.warm < runner.iter <= self.end:
            self.waited += time.perf_counter() - self.left
        if runner.iter == self.warm:
            self.begin = now()
            self.clock = time.perf_counter()
        elif runner.iter == self.end:
            count = self.end - self.warm
            whole = time.perf_counter() - self.clock
            MARKS.append(
                dict(
                    ms=1000 * (now() - self.begin) / count,
                    waits=self.waited / whole,
                )
            )

    def after_train_iter(self, runner: Any) -> None:
        """Note when the loop begins to wait for data."""
        self.left = time.perf_counter()


def make_images(root: Path, count: int, size: tuple[int, int]) -> None:
    """Write smooth random images and label maps, laid out as CamVid."""
    rng = np.random.default_rng(0)
    for split, number in (('train', count), ('test', 2)):
        for i in range(number):
            coarse = rng.integers(0, 255, (9, 12, 3)).astype(np.uint8)
            noise = rng.integers(0, 32, (*size, 3)).astype(np.uint8)
            image = mmcv.imresize(coarse, size[::-1]) // 2 + noise
            labels = mmcv.imresize(
                rng.integers(0, 11, (9, 12)).astype(np.uint8),
                size[::-1],
                interpolation='nearest',
            )
            for file, array in (
                (f'images/{split}/{i:04d}.jpg', image),
                (f'annotations/{split}/{i:04d}.png', labels),
            ):
                mmcv.imwrite(array, str(root / file))


def configured(args: argparse.Namespace, **options: Any) -> Any:
    """Load the recipe with the data and the length of the benchmark."""
    length = args.warm + args.iterations + 1
    size = args.size
    cfg = load_config(
        str(CONFIG),
        {
            'runner.pretrained': 'random',
            'runner.checkpoint': None,
            'runner.by_epoch': False,
            'runner.sample_rounds': 9,
            'lr_config': dict(_delete_=True, policy='fixed'),
            'evaluation.interval': 10**6,
            'checkpoint_config.interval': 10**6,
            'log_config.interval': 50,
            'log_level': 'ERROR',
            'data.workers_per_gpu': args.workers,
            'data.val.img_dir': 'images/test',
            'active_learning.visualize': None,
            **{
                f'data.{name}.data_root': str(args.data)
                for name in ('train', 'query', 'val', 'test')
            },
            **options,
        },
    )
    cfg.workflow = [('train', length), ('query', 1)]
    cfg.custom_hooks = [
        dict(type='TimingHook', warm=args.warm, end=length - 1)
    ]
    for step in cfg.data.train.pipeline:
        for key in ('size', 'crop_size'):
            if key in step:
                step[key] = size
        if 'img_scale' in step:
            step['img_scale'] = size[::-1]
    for name in ('query', 'val', 'test'):
        cfg.data[name].pipeline[1]['img_scale'] = size[::-1]
    return cfg


def mmseg_loop(args: argparse.Namespace, folder: Path) -> None:
    """Train by ``mmseg.apis.train_segmentor``, as mmseg's tools/train.py."""
    cfg = configured(args)
    length = args.warm + args.iterations + 1
    # many times the data, since mmcv sleeps where an epoch ends
    train = dict(type='RepeatDataset', times=1000, dataset=cfg.data.train)
    cfg.data = dict(
        samples_per_gpu=cfg.data.samples_per_gpu,
        workers_per_gpu=args.workers,
        train=train,
    )
    cfg.runner = dict(type='IterBasedRunner', max_iters=length)
    cfg.workflow = [('train', 1)]
    cfg.gpu_ids, cfg.seed = [0], 0
    cfg.device = 'cuda' if GPU else 'cpu'
    cfg.work_dir, cfg.resume_from, cfg.load_from = str(folder), None, None
    model = build_segmentor(cfg.model)
    model.init_weights()
    train_segmentor(model, [build_dataset(train)], cfg, validate=False)


def our_loop(
    args: argparse.Namespace,
    folder: Path,
    speed: Mapping[str, Any],
    at_labels: bool,
) -> dict[str, float]:
    """Train a phase of an experiment; compare its query with inference."""
    cfg = configured(args, **{'active_learning.loss_at_labels': at_labels})
    if speed:
        cfg.speed = dict(speed)
    logger = open_log(cfg, folder, False)
    prepared = prepare(cfg, Options(folder, lines=True), logger)
    experiment = build(prepared)
    runner = ActiveLearningRunner(experiment)
    runner._draw_initial()
    training = experiment.factory.training(0, [])
    training.runner.fit(training.loader)  # type: ignore[attr-defined]
    found = dict(MARKS.pop())
    wrapper, loop = training.wrapper, experiment.loop
    names = [image.name for image in loop.pool]

    def plain() -> None:
        loader, _ = query_loader(loop.pool, names, 1, args.workers)
        with wrapper.evaluating():
            for batch in loader:
                metas = batch['img_metas'][0].data[0]
                image = batch['img'][0].to(wrapper.device)
                wrapper.model.inference(  # type: ignore[operator]
                    image, metas, rescale=True
                )

    def query() -> None:
        loop.step(
            experiment.query.heuristic,
            experiment.query.make_selector,
            wrapper,
            None,
        )

    seconds: dict[Any, list[float]] = {plain: [], query: []}
    for i in range(args.queries):
        for what in (plain, query) if i % 2 else (query, plain):
            seconds[what].append(timed(what))
    found['inference'] = statistics.median(seconds[plain])
    found['query'] = statistics.median(seconds[query])
    found['query_ratio'] = found['query'] / found['inference']
    return found


def timed(call: Callable[[], None]) -> float:
    """Return the seconds of a call."""
    begin = now()
    call()
    return now() - begin


def measured(
    args: argparse.Namespace, name: str, folder: Path
) -> dict[str, Any]:
    """Measure one loop; an error is part of what is found."""
    if GPU:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    torch.backends.cudnn.benchmark = True  # as the recipe has it
    torch.manual_seed(0)
    MARKS.clear()
    try:
        if name == MMSEG:
            mmseg_loop(args, folder)
            found: dict[str, Any] = dict(MARKS.pop())
        else:
            found = our_loop(args, folder, *VARIANTS[name])
    except Exception as error:
        said = str(error).strip().splitlines()
        return dict(error=f'{type(error).__name__}: {" ".join(said)[:400]}')
    found['per_second'] = 1000 / found['ms']
    if GPU:
        found['allocated_mib'] = torch.cuda.max_memory_allocated() >> 20
        found['reserved_mib'] = torch.cuda.max_memory_reserved() >> 20
    return found


def machine() -> dict[str, Any]:
    """Describe card, driver and versions."""
    told = dict(
        device='cpu',
        cores=len(os.sched_getaffinity(0)),
        instructions=torch.backends.cpu.get_cpu_capability(),
        python=platform.python_version(),
        torch=torch.__version__,
        mmcv=mmcv.__version__,
        commit=commit_of(),
    )
    if not GPU:
        return told
    asked = subprocess.run(
        ['nvidia-smi', '--query-gpu=driver_version', '--format=csv,noheader'],
        capture_output=True,
        text=True,
        check=False,
    )
    return told | dict(
        device=torch.cuda.get_device_name(0),
        driver=asked.stdout.split('\n')[0] or None,
        cuda=torch.version.cuda,
        cudnn=torch.backends.cudnn.version(),
    )


WANTED = dict(
    time_ratio=('time of an iteration / of mmseg', 'at most', 0.4),
    per_second=('iterations a second', 'at least', 100),
    allocated_mib=('peak of memory, MiB', 'at most', 4096),
    query_ratio=('query / plain inference', 'at most', 1.05),
)
"""Of the best variant on one H100 or H200."""


def table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Write all variants as a table, and what is wanted of the best one."""
    columns = {
        'ms': '.1f',
        'per_second': '.1f',
        'time_ratio': '.3f',
        'waits': '.0%',
        'allocated_mib': ',',
        'reserved_mib': ',',
        'inference': '.2f',
        'query_ratio': '.3f',
    }
    lines = [
        '| loop | ms an iteration | a second | x mmseg | waits for data | '
        'allocated MiB | reserved MiB | inference s | query / inference |',
        '|---|' + '---:|' * len(columns),
    ]
    for name, row in found.items():
        cells = [
            format(row[key], how) if key in row else ''
            for key, how in columns.items()
        ]
        if 'error' in row:
            cells = [row['error'][:90], *[''] * (len(columns) - 1)]
        lines.append(f'| {name} | ' + ' | '.join(cells) + ' |')
    rows = {k: v for k, v in found.items() if 'time_ratio' in v and k != MMSEG}
    if rows:
        best = min(rows, key=lambda name: rows[name]['time_ratio'])
        lines += ['', f'Best: {best}.']
        for key, (words, side, limit) in WANTED.items():
            if key in rows[best]:
                got = rows[best][key]
                holds = got <= limit if side == 'at most' else got >= limit
                lines.append(
                    f'- {words}: {got:.4g}, wanted {side} {limit} '
                    f'({"holds" if holds else "does not hold"})'
                )
    return '\n'.join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    HOOKS.register_module(module=TimingHook, force=True)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', type=Path)
    parser.add_argument('--smoke', action='store_true')
    parser.add_argument('--variants', nargs='*', choices=[*VARIANTS])
    parser.add_argument('--iterations', type=int, default=150)
    parser.add_argument('--warm', type=int, default=30)
    parser.add_argument('--queries', type=int, default=3)
    parser.add_argument('--workers', type=int)
    parser.add_argument('--data', type=Path, default=ROOT / 'data/camvid')
    parser.add_argument(
        '--seconds',
        type=float,
        default=110.0,
        help='no further loop is begun after them',
    )
    args = parser.parse_args(arguments)
    begin = time.monotonic()
    warnings.simplefilter('ignore')
    logging.disable(logging.WARNING)
    args.size = (360, 480)
    if args.workers is None:
        args.workers = max(2, len(os.sched_getaffinity(0)) - 2) if GPU else 2
    names = args.variants or (VARIANTS if GPU else QUICK)
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if args.smoke or not (args.data / 'images/train').is_dir():
            args.data = folder / 'data'
            if args.smoke:
                args.size, args.workers = (32, 48), 0
                args.warm, args.iterations, args.queries = 1, 1, 1
            make_images(args.data, 4 if args.smoke else 64, args.size)
        for i, name in enumerate([MMSEG, *names]):
            if time.monotonic() - begin > args.seconds:
                found[name] = dict(error='not measured: the time is over')
                continue
            found[name] = measured(args, name, folder / str(i))
            base = found[MMSEG].get('ms')
            if base and 'ms' in found[name]:
                found[name]['time_ratio'] = found[name]['ms'] / base
    logging.disable(logging.NOTSET)
    told = machine()
    note = 'rehearsed: no number of it is a result; ' * args.smoke
    print(
        f'{note}{told["device"]}, '
        + ', '.join(f'{k} {v}' for k, v in told.items() if k != 'device')
    )
    print(table(found), flush=True)
    if args.out:
        replace_json(
            args.out,
            dict(
                smoke=args.smoke,
                machine=told,
                size=list(args.size),
                workers=args.workers,
                iterations=args.iterations,
                loops=found,
            ),
        )


if __name__ == '__main__':
    main()
