"""The tiny experiment with a labelled source beside its pool."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from segal.rounds import read_rounds
from segal.train_active_learning import main
from tests.tiny import CLASSES, write_config, write_images

SOURCES = 6
"""Images of the source, of another size than the pool's, with its names."""

BESIDE = """
source = dict(
    type='CustomDataset', data_root={root!r}, img_dir='images',
    ann_dir='annotations', img_suffix='.png', classes={classes!r},
    pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations'),
        dict(type='Resize', img_scale=(36, 26), keep_ratio=False),
        dict(type='RandomFlip', prob=0.5),
        dict(type='Normalize', **norm),
        dict(type='DefaultFormatBundle'),
        dict(type='Collect', keys=['img', 'gt_semantic_seg'])])
data['train'] = [source, data['train']]
"""

ADAPTING = """
active_learning['settings'] = dict(
    image=dict(initial_pool=0, query_size=2),
    pixel=dict(query_size=5, initial_label_pixels=0))
active_learning.update(
    sources=dict(per_batch=1, loss_weight=1.0),
    reset=dict(weights=False, optimizer=False, schedule=False))
runner.update(by_epoch=False)
runner.pop('sample_rounds')
workflow = [(('train', 4), ('query', 1)), (('train', 2), ('query', 1)),
            (('train', 5),)]
checkpoint_config = dict(interval=2)
evaluation = dict(interval=100, metric='mIoU')
"""
"""As RIPU: source alone, then queries at some iterations of one schedule."""


def write_experiment(
    folder: Path, extra: str = '', mode: str = 'pixel'
) -> Path:
    """Images of both domains, and a config with ``extra`` at its end."""
    if not (folder / 'images').exists():
        write_images(folder)
        write_images(folder / 'source', SOURCES, (30, 40))
    beside = BESIDE.format(root=str(folder / 'source'), classes=CLASSES)
    return write_config(folder, mode, beside + extra)


def run(config: Path, work_dir: Path, *options: str) -> int:
    """The command."""
    return main([str(config), '--work-dir', str(work_dir), *options])


def rows(work_dir: Path) -> list[dict]:
    """Of rounds.json, without seconds."""
    return [
        {key: value for key, value in row.items() if key != 'seconds'}
        for row in read_rounds(work_dir)
    ]


def labels(work_dir: Path) -> dict[str, bytes]:
    """Every file of bought labels."""
    return {
        path.name: path.read_bytes()
        for path in sorted((work_dir / 'labels').rglob('*'))
        if path.is_file()
    }


def final(work_dir: Path, number: int) -> dict:
    """The last checkpoint of a round."""
    return torch.load(
        work_dir / f'round_{number:03d}' / 'final.pth', weights_only=True
    )


def logged(work_dir: Path, key: str) -> list[float]:
    """A figure of every training iteration that was logged, in order."""
    return [
        line[key]
        for path in sorted(work_dir.rglob('*.log.json'))
        for line in map(json.loads, path.read_text().splitlines())
        if line.get('mode') == 'train'
    ]
