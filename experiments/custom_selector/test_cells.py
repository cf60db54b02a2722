"""What must be true of the selector; one image worked by hand."""

import numpy as np

from experiments.custom_selector.cells import PixelsPerCell
from segal.active.selectors import QueryContext
from segal.structures import Budget, PoolImage

IMAGES = [PoolImage(f'{i}.png', (4, 4)) for i in range(3)]


def select(scores, budget, ranks=1):
    """Let ranks shortlist, and rank 0 choose: name -> places."""
    free = np.full(len(IMAGES), 16)
    context = QueryContext(IMAGES, free, 1, 0, Budget(budget, True))
    shards = []
    for rank in range(ranks):
        selector = PixelsPerCell(context, cells=2)
        for image in IMAGES[rank::ranks]:
            everywhere = np.ones(image.size, bool)
            selector.shortlist(image, scores[image.name], everywhere)
        shards.append(selector.candidates())
    chosen = selector.choose(shards).places
    return {name: places.tolist() for name, places in chosen.items()}


def test_by_hand():
    score = np.arange(16, dtype=np.float32).reshape(4, 4)
    scores = {image.name: score for image in IMAGES}
    assert select(scores, 4)['0.png'] == [5, 7, 13, 15]
    assert select(scores, 6)['0.png'] == [5, 7, 12, 13, 14, 15]


def test_any_number_of_ranks_selects_the_same():
    rng = np.random.default_rng(0)
    scores = {
        image.name: rng.integers(0, 3, image.size).astype(np.float32)
        for image in IMAGES
    }
    assert select(scores, 5) == select(scores, 5, ranks=3)
