"""A small pool of drawn scenes, and purchases of its labels."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from segal.active.label_store.store import LabelStore
from segal.structures import (
    LABELLED,
    VOID,
    Answers,
    ImageAnswers,
    PixelAnswers,
    PoolImage,
    Selection,
)

CLASSES = ('sky', 'ground', 'pole')
PALETTE = np.array([[70, 130, 220], [90, 140, 60], [230, 200, 40]], np.uint8)
SIZE = (48, 64)


def pool_of(count, size=SIZE):
    return [PoolImage(f'set/scene {i}.png', size) for i in range(count)]


def truth(size=SIZE):
    """Sky, ground and pole, a void corner; uint8 (H, W)."""
    height, width = size
    labels = np.zeros(size, np.uint8)
    labels[height // 2 :] = 1
    labels[:, width // 3 : width // 3 + width // 16] = 2
    labels[:8, :8] = 255
    return labels


def image(size=SIZE):
    """uint8 (H, W, 3), RGB."""
    base = PALETTE[np.minimum(truth(size), 2)].astype(int)
    noise = np.random.default_rng(0).integers(-40, 40, base.shape)
    return np.clip(base + noise, 0, 255).astype(np.uint8)


def buy_pixels(store, places, scores=True):
    """Ask the same places of every image, and keep the answers."""
    selection = Selection(store.rounds, 'pixel', {})
    answers = {}
    for member in store.pool:
        asked = np.array(sorted(places), np.int64)
        classes = truth(member.size).ravel()[asked]
        status = np.where(classes == 255, VOID, LABELLED).astype(np.uint8)
        selection.places[member.name] = asked
        if scores:
            selection.scores[member.name] = np.full(len(asked), 0.5, 'f4')
        answers[member.name] = PixelAnswers(asked, classes, status)
    store.append(Answers(selection, answers))
    return selection


def buy_images(store, names):
    selection = Selection(store.rounds, 'image', {})
    sizes = {member.name: member.size for member in store.pool}
    for i, name in enumerate(names):
        selection.places[name] = np.empty(0, np.int64)
        selection.scores[name] = np.array([1 - i / 100], np.float32)
    answers = {name: ImageAnswers(truth(sizes[name])) for name in names}
    store.append(Answers(selection, answers))
    return selection


def new_store(folder, pool):
    return LabelStore(folder / 'labels', pool, 'test')


def report_of(work_dir, store, number, selection, known=True):
    sizes = {member.name: member.size for member in store.pool}
    return SimpleNamespace(
        row={'round': number},
        rows=[{'round': k, 'mIoU': (k + 1) / 10} for k in range(number + 1)],
        work_dir=work_dir,
        selection=selection,
        store=store,
        pool=store.pool,
        unit=selection.unit if selection else 'pixel',
        read_image=lambda name: image(sizes[name]),
        predict=lambda name: (
            np.minimum(truth(sizes[name]), 2),
            np.linspace(0, 1, np.prod(sizes[name]), dtype=np.float32).reshape(
                sizes[name]
            ),
        ),
        truth=lambda name: truth(sizes[name]) if known else None,
        classes=CLASSES,
        palette=PALETTE,
        pictures=[],
    )
