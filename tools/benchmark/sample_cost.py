"""Measure a training sample beside mmseg's own data set.

Prints milliseconds of processor time, as medians over samples made in turn:
of mmseg's data set, of ours, of ours with decoded images in memory
(``speed.image_cache``), and of ours where workers only draw what changes
colours (``speed.augment_on_device``); then what this takes the CPU, for each
image of a batch of four. ``--recipe`` takes the pipeline of an experiment.

Usage: python tools/benchmark/sample_cost.py [--pairs 200] [--recipe CONFIG]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from common import write_images
from mmcv.parallel import collate
from mmseg.datasets import CustomDataset

from segal.active.dataset.active_dataset import ActiveDataset
from segal.active.dataset.base import image_name
from segal.active.dataset.image_cache import ImageCache
from segal.active.label_store.ids import ids_in
from segal.active.label_store.store import LabelStore
from segal.config import load_config
from segal.datasets.pipelines.drawn_changes import defer
from segal.datasets.pipelines.on_device import finish
from segal.structures import (
    LABELLED,
    Answers,
    PixelAnswers,
    PoolImage,
    Selection,
)

PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='Resize', img_scale=(480, 360), ratio_range=(0.5, 2.0)),
    dict(type='RandomCrop', crop_size=(360, 480)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Normalize', mean=[127.5] * 3, std=[127.5] * 3, to_rgb=True),
    dict(type='Pad', size=(360, 480), pad_val=0, seg_pad_val=255),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_semantic_seg']),
]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--pairs', type=int, default=200)
    parser.add_argument('--labels', type=int, default=100)
    parser.add_argument('--recipe')
    args = parser.parse_args()
    pipeline = PIPELINE
    if args.recipe:
        pipeline = load_config(args.recipe).data.train.pipeline
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_images(root, 16, (360, 480))
        dataset = CustomDataset(
            pipeline,
            'images',
            ann_dir='annotations',
            data_root=folder,
            classes=[str(i) for i in range(11)],
        )
        names = [image_name(dataset, i) for i in range(len(dataset))]
        pool = [PoolImage(name, (360, 480)) for name in names]
        store = LabelStore(root / 'labels', pool)
        rng = np.random.default_rng(0)
        places = {
            name: np.sort(rng.choice(360 * 480, args.labels, replace=False))
            for name in names
        }
        store.append(
            Answers(
                Selection(0, 'pixel', places),
                {
                    name: PixelAnswers(
                        places[name],
                        np.ones(args.labels, np.uint8),
                        np.full(args.labels, LABELLED, np.uint8),
                    )
                    for name in names
                },
            )
        )
        active = ActiveDataset(
            dataset, {name: i for i, name in enumerate(names)}, store
        )
        files = [info['filename'] for info in dataset.img_infos]
        kept = ActiveDataset(
            dataset,
            {name: i for i, name in enumerate(names)},
            store,
            cache=ImageCache(files, 64 << 20),
        )
        for i in range(len(kept)):
            kept[(0, i)]  # decodes each image
        drawing = ActiveDataset(
            dataset,
            {name: i for i, name in enumerate(names)},
            store,
            defer=defer,
        )
        ours, theirs, cached, checks = [], [], [], []
        drawn, batch, changed = [], [], []
        for i in range(args.pairs):
            order = (ours, theirs, cached, drawn)
            for which in order if i % 2 else order[::-1]:
                np.random.seed(i)  # noqa: NPY002  (mmseg draws from it)
                begin = time.process_time()
                if which is ours:
                    sample = active[(i, i % 16)]
                elif which is cached:
                    kept[(i, i % 16)]
                elif which is drawn:
                    batch.append(drawing[(i, i % 16)])
                else:
                    dataset[i % 16]
                which.append(1000 * (time.process_time() - begin))
            begin = time.process_time()
            ids_in(sample['gt_semantic_seg'])
            checks.append(1000 * (time.process_time() - begin))
            if len(batch) == 4:
                whole = collate(batch, samples_per_gpu=4)
                begin = time.process_time()
                finish(whole, torch.device('cpu'))
                changed.append(250 * (time.process_time() - begin))
                batch = []
    print(
        f'{args.pairs} pairs, {args.labels} labels an image, 360x480: mmseg '
        f'{statistics.median(theirs):.2f} ms, ActiveDataset '
        f'{statistics.median(ours):.2f} ms a sample, with images in memory '
        f'{statistics.median(cached):.2f} ms, with colours left to the device '
        f'{statistics.median(drawn):.2f} ms (which takes a CPU '
        f'{statistics.median(changed):.1f} ms); difference '
        f'{statistics.median(ours) - statistics.median(theirs):+.2f} ms, of '
        f'which the check of class ids {statistics.median(checks):.2f} ms'
    )


if __name__ == '__main__':
    main()
