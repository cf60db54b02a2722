"""Whole images drawn at random, of a pool of unlike sizes."""

from functools import partial

import numpy as np
import pytest

from segal.active.active_loop import ActiveLearningLoop
from segal.active.heuristics import Random
from segal.active.label_store.store import LabelStore
from segal.active.opening import Opening
from segal.structures import Budget, PoolImage, Prediction
from tests.reference_store import CLASSES, BarePool, Person
from tests.selectors.build import build

SEEDS, AMOUNT = 60, 5
IMAGES = [PoolImage(f'{i}', (3, 4) if i < 5 else (30, 40)) for i in range(20)]


def drawn(folder, seed, aggregate, opened, images=IMAGES):
    """The images that are labelled, or opened, first."""
    truth = {x.name: np.zeros(x.size, np.uint8) for x in images}
    oracle = Person(0, truth.get, images, CLASSES)
    store = LabelStore(folder / str(seed), images, 'random')
    loop = ActiveLearningLoop(BarePool(images), store, oracle, seed)
    make = partial(
        build,
        type='WholeImages',
        aggregate=aggregate,
        budget=Budget(AMOUNT, False),
    )
    if not opened:
        return set(loop.step(Random(), make, None).places)
    opening = Opening(make, AMOUNT, Budget(1, True))
    pixels = partial(build, type='PixelsPerImage')
    return set(loop.step(Random(), pixels, None, opening).places)


@pytest.mark.parametrize(
    ('aggregate', 'opened'),
    [('mean', False), ('mean', True), ('sum', False), ('max', False)],
)
def test_small_images_are_as_likely_as_large_ones(tmp_path, aggregate, opened):
    found = [drawn(tmp_path, seed, aggregate, opened) for seed in range(SEEDS)]
    assert {len(names) for names in found} == {AMOUNT}
    small = sum(int(name) < 5 for names in found for name in names)
    assert abs(small - SEEDS * AMOUNT / 4) < 27  # four standard deviations


def test_images_of_one_size_are_drawn_by_their_mean(tmp_path):
    images = IMAGES[5:]
    means = {
        x.name: Random().score(Prediction(x.name, x.size, 0, 0)).mean().item()
        for x in images
    }
    best = sorted(means, key=means.get)[-AMOUNT:]
    assert drawn(tmp_path, 0, 'mean', False, images) == set(best)
