"""Evaluate a checkpoint with mmseg's own test loop.

Usage: python tools/test.py CONFIG CHECKPOINT [--eval mIoU mDice]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

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
from segal.config.built import not_built
from segal.errors import ConfigError, SegALError, StateError, nearest
from segal.runner.rounds import plain
from segal.utils.data import missing_paths
from segal.utils.rehearsal import METRICS


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
    name = 'test' if cfg.data.get('test') else 'val'
    known = (*METRICS, 'cityscapes')
    odd = [metric for metric in args.eval if metric not in known]
    if odd:
        raise ConfigError(
            f'--eval: {odd[0]!r} is not supported' + nearest(odd[0], known)
        )
    missing = missing_paths(f'data.{name}', cfg.data[name])
    if missing:
        raise ConfigError(missing)
    dataset = built(
        f'data.{name}', build_dataset, cfg.data[name], dict(test_mode=True)
    )
    loader = build_dataloader(
        dataset,
        samples_per_gpu=1,
        workers_per_gpu=cfg.data.get('workers_per_gpu', 2),
        dist=False,
        shuffle=False,
        persistent_workers=False,
    )
    model = built(
        'model', build_segmentor, cfg.model, test_cfg=cfg.get('test_cfg')
    )
    try:
        load_checkpoint(
            model, args.checkpoint, map_location='cpu', strict=True
        )
    except RuntimeError as error:
        raise StateError(
            f'{args.checkpoint}: does not fit the model of {args.config} '
            f'({str(error)[:300]} ...); name the config it was trained with'
        ) from error
    on_gpu = torch.cuda.is_available()
    wrapped = MMDataParallel(
        model.cuda() if on_gpu else model, device_ids=[0] if on_gpu else None
    )
    results = single_gpu_test(wrapped, loader, pre_eval=True)
    return dataset.evaluate(results, metric=args.eval)


def built(
    key: str, build: Any, section: Any, *args: Any, **kwargs: Any
) -> Any:
    """What a section of the config describes.

    Raises:
        ConfigError: It cannot be built.
    """
    try:
        return build(section, *args, **kwargs)
    except Exception as error:
        raise ConfigError(not_built(key, section, error)) from error


if __name__ == '__main__':
    sys.exit(main())
