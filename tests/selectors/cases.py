"""The registered selectors in all their ways, and a pool to try them on."""

from __future__ import annotations

import numpy as np
import torch

from segal.active.selectors import PixelsPerImage
from segal.active.selectors.diverse_pixels import DiverseGlobal
from segal.registry import SELECTORS
from segal.structures import Budget, PoolImage, Prediction
from tests.selectors.build import build

OPTIONS = {
    'PixelsPerImage': (
        dict(per_image=True),
        dict(per_image=False),
        dict(per_image=True, top_percent=30.0),
        dict(per_image=False, top_percent=12.5, shuffle_prop=0.25),
        dict(per_image=True, shuffle_prop=0.5),
        dict(per_image=True, shuffle_prop=1.0),
    ),
    'PixelsSpread': (
        dict(per_image=True, distance=3),
        dict(per_image=False, distance=2),
        dict(per_image=True, distance=2, shuffle_prop=0.5),
        dict(per_image=True, distance=1),
    ),
    'PixelsGlobal': (
        dict(per_image=False),
        dict(per_image=True),
        dict(per_image=False, shuffle_prop=0.3),
        dict(per_image=False, shuffle_prop=1.0),
    ),
    'WholeImages': (
        dict(per_image=False),
        dict(per_image=False, aggregate='max', shuffle_prop=0.5),
        dict(per_image=False, aggregate='sum'),
        dict(per_image=False, aggregate='median'),
        dict(per_image=False, shuffle_prop=1.0),
    ),
    'CoreSet': (
        dict(per_image=False),
        dict(per_image=False, shortlist=2, aggregate='max'),
        dict(per_image=False, shortlist=1.5, shuffle_prop=0.5),
        dict(per_image=False, shuffle_prop=1.0),
    ),
    'KMeansPlusPlus': (
        dict(per_image=False),
        dict(per_image=False, shortlist=2, shuffle_prop=0.3),
    ),
    'TypiClust': (
        dict(per_image=False),
        dict(per_image=False, clusters=2, neighbours=1),
        dict(per_image=False, shortlist=3, shuffle_prop=0.5),
    ),
    'Badge': (
        dict(per_image=False),
        dict(per_image=False, dims=None, shuffle_prop=0.5),
        dict(per_image=False, dims=2, shortlist=2),
    ),
    'PixelsKCentre': (
        dict(per_image=True),
        dict(per_image=False, shortlist=2, shuffle_prop=0.5),
        dict(per_image=True, shortlist=1, dims=2),
    ),
    'PixelsKMeansPlusPlus': (
        dict(per_image=True, shortlist=3),
        dict(per_image=False, shuffle_prop=0.25, dims=1),
    ),
    'PixelsBadge': (
        dict(per_image=True, shortlist=3),
        dict(per_image=False, shuffle_prop=0.25, dims=2),
    ),
    'PixelsKCentreGlobal': (
        dict(per_image=False),
        dict(per_image=True, shortlist=1.5, shuffle_prop=0.5),
        dict(per_image=False, shortlist=2, dims=2, shuffle_prop=1.0),
    ),
    'PixelsKMeansPlusPlusGlobal': (
        dict(per_image=False),
        dict(per_image=True, shortlist=2, dims=2, shuffle_prop=0.4),
    ),
    'PixelsBadgeGlobal': (
        dict(per_image=False),
        dict(per_image=True, shortlist=2, dims=2, shuffle_prop=0.4),
    ),
    'PixelsStratified': (
        dict(per_image=True),
        dict(per_image=False, shuffle_prop=0.5),
    ),
    'PixelsStratifiedGlobal': (
        dict(per_image=False),
        dict(per_image=True, shuffle_prop=0.3),
        dict(per_image=False, shuffle_prop=1.0),
    ),
}
"""Selector -> options it is tried with; a selector without fails the suite."""

CLASSES, FEATURES, DIMS = 3, 4, 5
"""Of the made-up predictions: classes, features a pixel, and an image."""
ELSEWHERE = ('RegionsPerImage', 'RegionsGlobal', 'ScorePerCost')
"""Those with another budget; test_regions.py, test_opening.py try them."""

WAYS = [(name, options) for name, ways in OPTIONS.items() for options in ways]


def made_up(rng, name, size):
    """A prediction of an image."""

    def draw(*shape):
        return torch.from_numpy(rng.integers(0, 3, shape).astype(np.float32))

    features = draw(FEATURES, (size[0] + 1) // 2, (size[1] + 1) // 2)
    return Prediction(
        name=name,
        size=size,
        seed=0,
        round=3,
        probs=draw(CLASSES, *size).softmax(dim=0),
        embedding=draw(DIMS),
        features=features,
    )


class Scored:
    """A pool of small images of odd sizes, with scores and free places.

    Args:
        seed: Of everything.
        count: Images.
        levels: Different scores; few make many ties.
        share: Of the places that are available; some images get none.

    Attributes:
        predictions: Of each image, with all that selectors may need; coarse
            numbers, so that some look alike.
    """

    def __init__(self, seed=0, count=6, levels=4, share=0.7):
        rng = np.random.default_rng(seed)
        self.images, self.scores, self.available = [], {}, {}
        self.predictions = {}
        for i in rng.permutation(count):
            size = int(rng.integers(1, 7)), int(rng.integers(1, 9))
            name = f'set/{i:03d}.png'
            self.images.append(PoolImage(name, size))
            level = rng.integers(0, levels, size)
            self.scores[name] = (level / levels).astype(np.float32)
            mask = rng.random(size) < share * rng.choice([0, 1, 1, 1.5])
            self.available[name] = mask
            self.predictions[name] = made_up(rng, name, size)
        self.free = np.array(
            [self.available[x.name].sum() for x in self.images], np.int64
        )

    def selector(self, name, amount, options, seed=0, number=3):
        options = dict(options)
        budget = Budget(amount, options.pop('per_image'))
        return build(
            type=name,
            images=self.images,
            free=self.free,
            opened=self.free == 0,
            budget=budget,
            round=number,
            seed=seed,
            **options,
        )

    def shortlist(self, selector, image):
        """Hand one image to a selector."""
        selector.shortlist(
            image,
            self.scores[image.name],
            self.available[image.name],
            self.predictions.get(image.name),
        )

    def select(self, name, amount, options, ranks=1, order=None, **keys):
        """The selection as ``ranks`` processes would make it."""
        images = self.images
        if order is not None:
            images = [images[i] for i in order]
        shards = []
        for rank in range(ranks):
            selector = self.selector(name, amount, options, **keys)
            for image in images[rank::ranks]:
                self.shortlist(selector, image)
            shards.append(selector.candidates())
        if order is not None:
            shards = shards[::-1]
        return selector.choose(shards), shards

    def expected(self, name, amount, options):
        """How much is to be spent."""
        kind = SELECTORS.get(name)
        if kind.unit == 'image':
            return min(amount, int((self.free > 0).sum()))
        if issubclass(kind, PixelsPerImage) and options['per_image']:
            return int(np.minimum(self.free, amount).sum())
        if options['per_image']:
            amount *= len(self.images)
        return min(amount, int(self.free.sum()))

    def gathered(self, name, amount, options):
        """How much a rank may hand on at most."""
        kind, images = SELECTORS.get(name), len(self.images)
        spent = self.expected(name, amount, options)
        if kind.reads_all:
            return images
        times = 1.0
        if issubclass(kind, DiverseGlobal):
            times = options.get('shortlist', 5)
        elif name == 'PixelsStratifiedGlobal':
            times = CLASSES
        # what may turn out to be a random pick is looked at beyond that
        share = options.get('shuffle_prop', 0)
        return spent * (times + share * (1 + (times > 1))) + 1
