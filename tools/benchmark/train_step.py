r"""Measure a training step with losses on whole maps, and at labels only.

Prints, for each network, the milliseconds of a step (forward, losses,
backward, optimizer), as the median over pairs measured in turn in one
process, and the peak of memory that one step needs beside the network. On CPU
that is processor time, of all threads together, which others on the machine
disturb little, and the resident set, each in a process of its own; on CUDA
time on the clock, and what PyTorch has allocated.

With --speed, the second network also has these options of ``speed``, so that
the ratio is that of our step to mmseg's in single precision:

    python tools/benchmark/train_step.py --batch 4 --labels 10 \
        --only MobileNetV2-DeepLabV3+-360x480 --speed channels_last fused

Usage: python tools/benchmark/train_step.py [--pairs 10] [--labels 100]
    [--speed channels_last bf16 fused compile]
"""

from __future__ import annotations

import argparse
import copy
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from common import ROOT
from mmcv import Config
from mmseg.models import build_segmentor

from segal.config import load_config, mmseg_config
from segal.config.network import average_over_labels, sync_bn_on_cpu
from segal.models.losses.at_labels import sample_losses
from segal.models.losses.on_labelled import mend
from segal.models.speed import speed_up


@dataclass(frozen=True)
class Case:
    """One network on one size of image.

    Attributes:
        config: Of mmseg, or a path in this repository.
        classes: How many.
        size: (H, W) of an image.
    """

    config: str
    classes: int
    size: tuple[int, int]


SPEED = ('channels_last', 'bf16', 'fused', 'compile')
OURS = 'experiments/camvid_pixelpick/margin.py'
FAST = 'fastscnn/fast_scnn_lr0.12_8x4_160k_cityscapes.py'
CASES = {
    'FastSCNN-360x480': Case(FAST, 11, (360, 480)),
    'FastSCNN-512x1024': Case(FAST, 19, (512, 1024)),
    'SegFormer-B0-512x1024': Case(
        'segformer/segformer_mit-b0_8x1_1024x1024_160k_cityscapes.py',
        19,
        (512, 1024),
    ),
    'MobileNetV2-DeepLabV3+-360x480': Case(OURS, 11, (360, 480)),
}


class Steps:
    """Training steps of one network on one batch.

    Args:
        case: The network and its image size.
        when: As ``active_learning.loss_at_labels``.
        batch: Images.
        labels: Labelled pixels of each, at random.
        speed: Options of ``speed`` that are on, by name.
    """

    def __init__(
        self,
        case: Case,
        when: Literal['auto', True, False],
        batch: int,
        labels: int,
        speed: Sequence[str] = (),
    ) -> None:
        self.device = torch.device(
            'cuda' if torch.cuda.is_available() else 'cpu'
        )
        torch.manual_seed(0)
        self.model: Any = network(case).to(self.device).train()
        sample_losses(self.model, when)
        speed_up(
            self.model,
            'channels_last' in speed,
            'bf16' if 'bf16' in speed else 'fp32',
            'compile' in speed,
        )
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), lr=1e-3, fused='fused' in speed
        )
        height, width = case.size
        draw = torch.Generator().manual_seed(0)
        image = torch.randn(batch, 3, height, width, generator=draw)
        truth = torch.full((batch, height * width), 255)
        for one in truth:
            places = torch.randperm(len(one), generator=draw)[:labels]
            one[places] = torch.randint(
                case.classes, (labels,), generator=draw
            )
        self.batch = dict(
            img=image.to(self.device),
            img_metas=[dict() for _ in range(batch)],
            gt_semantic_seg=truth.reshape(batch, 1, height, width).to(
                self.device
            ),
        )

    def step(self) -> float:
        """Run one step; return its seconds."""
        begin = self._now()
        loss = self.model.train_step(self.batch, None)['loss']
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return self._now() - begin

    def _now(self) -> float:
        if self.device.type != 'cuda':
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    def peak(self) -> int:
        """Bytes that the first step needs at most, beside the network."""
        if self.device.type == 'cuda':
            before = torch.cuda.memory_allocated()
            torch.cuda.reset_peak_memory_stats()
            self.step()
            return torch.cuda.max_memory_allocated() - before
        before = resident('VmRSS')
        Path('/proc/self/clear_refs').write_text('5')  # the peak, from here
        self.step()
        return resident('VmHWM') - before


def resident(field: str) -> int:
    """Read the memory of this process in bytes: VmRSS or VmHWM (peak)."""
    status = Path('/proc/self/status').read_text()
    found = re.search(rf'{field}:\s+(\d+) kB', status)
    assert found is not None
    return 1024 * int(found[1])


def network(case: Case) -> Any:
    """Build a network with random weights and the losses of a run."""
    ours = case.config == OURS
    path = ROOT / OURS if ours else mmseg_config(case.config)
    cfg = Config(dict(model=copy.deepcopy(load_config(str(path)).model)))
    model = cfg.model
    model.pretrained = None
    model.backbone.init_cfg = None
    auxiliary = model.get('auxiliary_head') or []
    if not isinstance(auxiliary, list):
        auxiliary = [auxiliary]
    for head in [model.decode_head, *auxiliary]:
        head.num_classes = case.classes
    average_over_labels(cfg)
    sync_bn_on_cpu(cfg)
    built = build_segmentor(cfg.model)
    mend(built)
    return built


def memory_of(name: str, when: bool, args: argparse.Namespace) -> int:
    """Measure the peak of one step in a new process, in bytes."""
    done = subprocess.run(
        [
            sys.executable,
            __file__,
            *('--peak', name, 'True' if when else 'False'),
            *('--batch', str(args.batch), '--labels', str(args.labels)),
            *(('--speed', *args.speed) if args.speed else ()),
        ],
        check=True,
        capture_output=True,
        text=True,
        # what is freed goes back at once, and does not count again
        env={**os.environ, 'MALLOC_MMAP_THRESHOLD_': '65536'},
    )
    return int(done.stdout.split()[-1])


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--pairs', type=int, default=10)
    parser.add_argument('--labels', type=int, default=100)
    parser.add_argument('--batch', type=int, default=2)
    parser.add_argument(
        '--only', nargs='*', choices=[*CASES], default=[*CASES]
    )
    parser.add_argument('--speed', nargs='*', choices=SPEED, default=[])
    parser.add_argument('--peak', nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.peak:
        name, when = args.peak
        fast = args.speed if when == 'True' else ()
        steps = Steps(
            CASES[name], when == 'True', args.batch, args.labels, fast
        )
        print(steps.peak())
        return
    for name in args.only:
        whole, some = (
            Steps(CASES[name], when, args.batch, args.labels, fast)
            for when, fast in ((False, ()), (True, args.speed))
        )
        seconds: dict[Steps, list[float]] = {whole: [], some: []}
        for i in range(args.pairs + 2):
            for steps in (whole, some) if i % 2 else (some, whole):
                seconds[steps].append(steps.step())
        times = [
            1000 * np.array(seconds[steps][2:]) for steps in (whole, some)
        ]
        ratios = times[1] / times[0]
        device = whole.device.type
        del whole, some, steps, seconds
        peaks = [memory_of(name, when, args) / 2**20 for when in (False, True)]
        how = ', '.join(['at labels', *args.speed])
        print(
            f'{name}, {CASES[name].classes} classes, batch {args.batch}, '
            f'{args.labels} labels an image, {args.pairs} pairs on {device}: '
            f'whole maps {statistics.median(times[0]):.0f} ms, '
            f'{peaks[0]:,.0f} MiB; {how} '
            f'{statistics.median(times[1]):.0f} ms, {peaks[1]:,.0f} MiB; '
            f'time x {statistics.median(ratios):.2f} (quartiles '
            f'{np.quantile(ratios, 0.25):.2f} to '
            f'{np.quantile(ratios, 0.75):.2f}), memory x '
            f'{peaks[1] / peaks[0]:.2f}',
            flush=True,
        )


if __name__ == '__main__':
    main()
