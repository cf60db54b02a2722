"""The registered selectors in all their ways, and a pool to try them on."""

from __future__ import annotations

import numpy as np

from segal.registry import SELECTORS
from segal.structures import Budget, PoolImage

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
}
"""Selector -> options it is tried with; a selector without fails the suite."""

WAYS = [(name, options) for name, ways in OPTIONS.items() for options in ways]


class Scored:
    """A pool of small images of odd sizes, with scores and free places.

    Args:
        seed: Of everything.
        count: Images.
        levels: Different scores; few make many ties.
        share: Of the places that are available; some images get none.
    """

    def __init__(self, seed=0, count=6, levels=4, share=0.7):
        rng = np.random.default_rng(seed)
        self.images, self.scores, self.available = [], {}, {}
        for i in rng.permutation(count):
            size = int(rng.integers(1, 7)), int(rng.integers(1, 9))
            name = f'set/{i:03d}.png'
            self.images.append(PoolImage(name, size))
            level = rng.integers(0, levels, size)
            self.scores[name] = (level / levels).astype(np.float32)
            mask = rng.random(size) < share * rng.choice([0, 1, 1, 1.5])
            self.available[name] = mask
        self.free = np.array(
            [self.available[x.name].sum() for x in self.images], np.int64
        )

    def selector(self, name, amount, options, seed=0, number=3):
        options = dict(options)
        budget = Budget(amount, options.pop('per_image'))
        return SELECTORS.build(
            dict(
                type=name,
                images=self.images,
                free=self.free,
                budget=budget,
                round=number,
                seed=seed,
                **options,
            )
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
                selector.shortlist(
                    image, self.scores[image.name], self.available[image.name]
                )
            shards.append(selector.candidates())
        if order is not None:
            shards = shards[::-1]
        return selector.choose(shards), shards

    def expected(self, name, amount, options):
        """How much is to be spent."""
        if name == 'WholeImages':
            return min(amount, int((self.free > 0).sum()))
        even = ('PixelsPerImage', 'PixelsSpread')
        if name in even and options['per_image']:
            return int(np.minimum(self.free, amount).sum())
        if options['per_image']:
            amount *= len(self.images)
        return min(amount, int(self.free.sum()))
