"""Evaluate a checkpoint with mmseg's own test loop.

Usage: python tools/test.py CONFIG CHECKPOINT [--eval mIoU mDice]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
from mmcv import DictAction
from mmcv.parallel import MMDataParallel
from mmcv.runner import load_checkpoint
from mmseg.apis import single_gpu_test
from mmseg.datasets import build_dataloader, build_dataset
from mmseg.models import build_segmentor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from segal import compat
from segal.config import load_config, read_config
from segal.errors import ConfigError, SegALError
from segal.runner.rounds import plain


def main() -> int:
    """Evaluate, print the table, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config')
    parser.add_argument('checkpoint')
    parser.add_argument('--eval', nargs='+', default=['mIoU'])
    parser.add_argument('--out', type=Path, help='metrics as JSON')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    args = parser.parse_args()
    compat.apply()
    try:
        metrics = evaluate(args)
    except SegALError as error:
        sys.stderr.write(f'\nError: {error}\n')
        return error.exit_code
    if args.out:
        args.out.write_text(json.dumps(plain(metrics), indent=1) + '\n')
    return 0


def evaluate(args: argparse.Namespace) -> dict[str, float]:
    """The metrics of a checkpoint on ``data.test``, or ``data.val``."""
    import segal.utils.train  # noqa: F401  (fills the registries)

    cfg = load_config(args.config, args.cfg_options)
    _, problems, _ = read_config(cfg)
    if problems:
        raise ConfigError(problems)
    dataset = build_dataset(
        cfg.data.get('test') or cfg.data.val, dict(test_mode=True)
    )
    loader = build_dataloader(
        dataset,
        samples_per_gpu=1,
        workers_per_gpu=cfg.data.workers_per_gpu,
        dist=False,
        shuffle=False,
        persistent_workers=False,
    )
    model = build_segmentor(cfg.model, test_cfg=cfg.get('test_cfg'))
    load_checkpoint(model, args.checkpoint, map_location='cpu', strict=True)
    on_gpu = torch.cuda.is_available()
    wrapped = MMDataParallel(
        model.cuda() if on_gpu else model, device_ids=[0] if on_gpu else None
    )
    results = single_gpu_test(wrapped, loader, pre_eval=True)
    return dataset.evaluate(results, metric=args.eval)


if __name__ == '__main__':
    sys.exit(main())
