"""Work_dirs as a run writes them, with numbers that a test chooses."""

from __future__ import annotations

import json

import numpy as np
from PIL import Image

from segal.rounds import write_rounds
from tests.hooks.scenes import (
    CLASSES,
    PALETTE,
    SIZE,
    buy_images,
    buy_pixels,
    image,
    new_store,
    pool_of,
)

IMAGES = 4


def write_run(
    work_dir,
    heuristic='margin',
    seed=0,
    miou=(0.2, 0.3, 0.4),
    planned=None,
    unit='pixel',
    per_round=3,
    images=IMAGES,
    classes=CLASSES,
    best=None,
    config=None,
    pictures=True,
    initial=None,
):
    """A finished run, or with ``planned`` rounds an unfinished one."""
    work_dir.mkdir(parents=True)
    pool = pool_of(images)
    files = []
    for member in pool:
        file = work_dir / 'images' / member.name
        if pictures:
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image()).save(file)
        files.append({'name': member.name, 'size': SIZE, 'file': str(file)})
    (work_dir / 'pool.json').write_text(
        json.dumps(
            {
                'images': files,
                'classes': list(classes),
                'palette': PALETTE[: len(classes)].tolist(),
            }
        )
    )
    cfg = {
        'active_learning': {'heuristic': heuristic},
        'runner': {'sample_rounds': planned or len(miou)},
        'workflow': [['train', 2], ['query', 1]],
        'seed': seed,
        **(config or {}),
    }
    (work_dir / 'config.json').write_text(json.dumps(cfg))
    store = new_store(work_dir, pool)
    draw = np.random.default_rng(seed)
    rows = []
    for number, value in enumerate(miou):
        if unit == 'image':
            count = initial if initial and not number else 1
            done = store.counts().images
            buy_images(store, [m.name for m in pool[done : done + count]])
        else:
            free = np.flatnonzero(store.available(pool[0].name).ravel())
            buy_pixels(store, draw.choice(free, per_round, replace=False))
        rows.append(row_of(store, number, unit, value, classes))
        if best:
            rows[-1]['best'] = {'mIoU': best, 'file': 'best.pth'}
    write_rounds(work_dir, rows)
    return work_dir


def row_of(store, number, unit, value, classes):
    bought, total = store.counts(number), store.counts()
    pixels = sum(member.pixels for member in store.pool)
    keys = ('requested', 'labelled', 'void', 'refused', 'images')
    return {
        'round': number,
        'unit': unit,
        **{key: getattr(bought, key) for key in keys[:4]},
        'total': {key: getattr(total, key) for key in keys},
        'pool': {'images': len(store.pool), 'pixels': pixels},
        'share': total.labelled / pixels,
        'iterations': 8,
        'mIoU': value,
        'IoU': {name: value + i / 100 for i, name in enumerate(classes)},
        'seconds': {
            'train': 4.0 + number,
            'evaluation': 0.5,
            'query': 1.5,
            'report': 0.1,
        },
    }


def sweep(folder, curves, **options):
    """Runs of ``{heuristic: {seed: curve}}``."""
    return [
        write_run(
            folder / f'{heuristic}_seed{seed}',
            heuristic,
            seed,
            curve,
            **options,
        )
        for heuristic, seeds in curves.items()
        for seed, curve in seeds.items()
    ]
