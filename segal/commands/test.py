"""Evaluate a checkpoint with mmseg's own test loop.

Usage: segal test CONFIG CHECKPOINT [--eval mIoU mDice]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from segal.arguments import KeyValues, make_parser, with_exit_codes
from segal.errors import ConfigError, nearest


@with_exit_codes
def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate, print the table, and write JSON where asked."""
    parser = make_parser(
        __doc__,
        'test my_config.py work_dirs/my_config/round_003/final.pth',
    )
    parser.add_argument('config')
    parser.add_argument('checkpoint')
    parser.add_argument('--eval', nargs='+', default=['mIoU'])
    parser.add_argument('--out', type=Path, help='metrics as JSON')
    parser.add_argument('--cfg-options', nargs='+', action=KeyValues)
    args = parser.parse_args(arguments)
    from segal import compat
    from segal.rounds import plain

    compat.apply()
    metrics = evaluate(args)
    if args.out:
        args.out.write_text(json.dumps(plain(metrics), indent=1) + '\n')
    return 0


def evaluate(args: argparse.Namespace) -> dict[str, float]:
    """Compute the metrics of a checkpoint on ``data.test`` or ``data.val``."""
    from mmcv.parallel import MMDataParallel
    from mmseg.apis import single_gpu_test
    from mmseg.datasets import CustomDataset, build_dataloader
    from mmseg.utils import get_root_logger

    import segal.utils.train  # noqa: F401  (fills the registries)
    from segal.active.dataset.base import LoadFirst
    from segal.active.dataset.class_names import check_class_names
    from segal.active.dataset.listing import build_listed
    from segal.config import load_config, read_config
    from segal.distributed.launching import own_device
    from segal.experiment.data import missing_paths
    from segal.experiment.trained import load_trained
    from segal.openmmlab.built import building
    from segal.preflight.training import METRICS
    from segal.rounds import absent_classes
    from segal.visualization.table import absent_words

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
    with building(f'data.{name}', cfg.data[name]):
        dataset, notes = build_listed(cfg.data[name], dict(test_mode=True))
    for note in notes:
        get_root_logger().warning(f'data.{name}: {note}')
    if isinstance(dataset, CustomDataset):
        annotations = LoadFirst(dataset, f'data.{name}')
        for index in range(len(dataset)):
            annotations.checked_annotation(index, None, len(dataset.CLASSES))
    loader = build_dataloader(
        dataset,
        samples_per_gpu=1,
        workers_per_gpu=cfg.data.get('workers_per_gpu', 2),
        dist=False,
        shuffle=False,
        persistent_workers=False,
    )
    device = own_device()
    trained = load_trained(cfg, Path(args.checkpoint), device)
    problems = check_class_names(
        trained.classes,
        args.checkpoint,
        {f'data.{name}': dataset},
        title='the network',
    )
    if problems:
        raise ConfigError(problems)
    ids = [0] if device.type == 'cuda' else None
    wrapped = MMDataParallel(trained.wrapper.model, device_ids=ids)
    results = single_gpu_test(wrapped, loader, pre_eval=True)
    metrics: dict[str, float] = dataset.evaluate(results, metric=args.eval)
    for sentence in absent_words(
        {
            'absent': absent_classes(metrics, dataset.CLASSES or (), []),
            'IoU': dataset.CLASSES or (),
        },
        f'data.{name}',
    ):
        sys.stderr.write(f'{sentence}\n')
    return metrics
