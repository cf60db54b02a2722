"""Random schedules of queries, and a reference for the label store."""

import random
from collections import Counter
from types import SimpleNamespace

import numpy as np
import torch

from segal.active.dataset.pool import Pool
from segal.active.heuristics import BaseHeuristic
from segal.active.oracles import GroundTruthOracle
from segal.seeding import key
from segal.structures import (
    LABELLED,
    REFUSED,
    VOID,
    Answers,
    Budget,
    ImageAnswers,
    PixelAnswers,
    PoolImage,
)
from tests.selectors.build import build

CLASSES = ('road', 'tree', 'sky')


class BarePool(Pool):
    """Images without files."""

    def __init__(self, images):
        self.images = images
        self.position = {image.name: i for i, image in enumerate(images)}


class Person(GroundTruthOracle):
    """Knows the ground truth, and refuses some requests; see ``refuses``."""

    def __init__(self, refused, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.refused = refused

    def refuses(self, *request):
        return key('refuse', *request) / 2**64 < self.refused

    def answer(self, selection):
        answers = {}
        for name, said in super().answer(selection).images.items():
            if isinstance(said, ImageAnswers):
                if self.refuses(selection.round, name):
                    said = ImageAnswers(None)
            else:
                status = said.status.copy()
                for i, place in enumerate(said.places.tolist()):
                    if self.refuses(selection.round, name, place):
                        status[i] = REFUSED
                said = PixelAnswers(said.places, said.classes, status)
            answers[name] = said
        return Answers(selection, answers)


class Levels(BaseHeuristic):
    """Random scores of so many levels: few make many ties."""

    needs = ()

    def __init__(self, levels):
        self.levels = levels

    def score(self, prediction):
        rng = np.random.default_rng(key(prediction.round, prediction.name))
        score = rng.integers(0, self.levels, prediction.size)
        return torch.from_numpy(score.astype(np.float32))


class ReferenceStore:
    """Every request so far, in sets of plain numbers.

    Args:
        truth: name -> (H, W), 255 where void.
        void: The oracle's policy.

    Attributes:
        asked: name -> every place asked so far.
        became: (name, place) -> its class, or VOID or REFUSED as text.
        whole: Names asked as a whole.
    """

    def __init__(self, truth, void):
        self.truth = truth
        self.void = void
        self.asked = {name: set() for name in truth}
        self.became = {}
        self.whole = set()

    def free(self, name):
        """The places that may be asked."""
        if name in self.whole:
            return set()
        flat = self.truth[name].ravel()
        return {
            place
            for place in set(range(flat.size)) - self.asked[name]
            if self.void == 'charge' or flat[place] != 255
        }

    def wanted(self, way):
        """Compute what a round must spend in each image, or in all of them."""
        free = {name: len(self.free(name)) for name in self.truth}
        amount = way['budget'].amount
        if way['type'] == 'WholeImages':
            return min(amount, sum(map(bool, free.values()))), None
        if not way['budget'].per_image:
            return min(amount, sum(free.values())), None
        if way['type'] == 'PixelsGlobal':
            return min(amount * len(free), sum(free.values())), None
        each = {name: min(amount, count) for name, count in free.items()}
        return sum(each.values()), {k: v for k, v in each.items() if v}

    def enter(self, selection, refuses):
        """Add a round; return how many were labelled, void, refused."""
        shares = Counter()
        for name, places in selection.places.items():
            flat = self.truth[name].ravel()
            places = places.tolist()
            whole = selection.unit == 'image'
            if whole:
                assert places == []
                assert self.free(name), 'a whole image without a free place'
                self.whole.add(name)
                refused = refuses(selection.round, name)
                places = set(range(flat.size)) - self.asked[name]
            else:
                assert len(set(places)) == len(places), 'a place twice'
                assert set(places) <= self.free(name), 'a place not free'
            for place in places:
                if not whole:
                    refused = refuses(selection.round, name, place)
                became = (
                    'refused'
                    if refused
                    else 'void'
                    if flat[place] == 255
                    else int(flat[place])
                )
                assert (name, place) not in self.became, 'bought twice'
                self.became[name, place] = became
                self.asked[name].add(place)
                shares[became if isinstance(became, str) else 'labelled'] += 1
        return [shares[x] for x in ('labelled', 'void', 'refused')]

    def compare(self, store):
        """Compare all that a store reports with the sets."""
        values = Counter(
            x if isinstance(x, str) else 'labelled'
            for x in self.became.values()
        )
        total = store.counts()
        assert total.requested == len(self.became)
        assert total.labelled == values['labelled']
        assert total.void == values['void']
        assert total.refused == values['refused']
        labelled = []
        left = store.free()
        codes = {'void': VOID, 'refused': REFUSED}
        for i, (name, truth) in enumerate(self.truth.items()):
            drawn = np.full(truth.size, 255)
            for place in self.asked[name]:
                became = self.became[name, place]
                if not isinstance(became, str):
                    drawn[place] = became
            np.testing.assert_array_equal(store.draw(name).ravel(), drawn)
            if (drawn != 255).any():
                labelled.append(name)
            nothing_free = truth.size - len(self.asked[name])
            assert left[i] == nothing_free
            assert store.available(name).sum() == nothing_free
            history = store.history(name)
            assert history.whole == (name in self.whole)
            for place, status in zip(
                history.places.tolist(), history.status, strict=True
            ):
                assert status == codes.get(self.became[name, place], LABELLED)
        assert store.labelled_names() == labelled
        assert total.images == len(labelled)


def random_way(rng, pixels):
    """A round: selector, budget and options; budgets rarely come out even."""
    amount = rng.choice(
        [0, 1, 2, rng.randint(1, 9), rng.randint(1, pixels + 5), 10**6]
    )
    shuffle = rng.choice([0.0, 0.0, rng.random(), 1.0])
    kind = rng.choice(['each', 'split', 'global', 'global each', 'image'])
    way = dict(shuffle_prop=shuffle, budget=Budget(amount, 'each' in kind))
    if kind == 'image':
        amount = rng.choice([0, 1, 1, 2, 9])
        way.update(type='WholeImages', budget=Budget(amount, False))
        way.update(aggregate=rng.choice(['mean', 'max', 'sum', 'median']))
    elif 'global' in kind:
        way.update(type='PixelsGlobal')
    else:
        way.update(type='PixelsPerImage')
        way.update(top_percent=rng.choice([None, 5, 33.3, 100]))
    return way


def random_schedule(seed):
    """A pool with its truth, an oracle, and the ways of some rounds."""
    rng = random.Random(seed)
    draw = np.random.default_rng(seed)
    truth = {}
    for i in range(rng.randint(1, 6)):
        size = rng.randint(1, 7), rng.randint(1, 9)
        labels = draw.integers(0, len(CLASSES), size).astype(np.uint8)
        labels[draw.random(size) < rng.choice([0, 0.2, 0.7, 1])] = 255
        truth[f'{rng.randint(0, 99):02d}/{i}.png'] = labels
    images = [PoolImage(name, x.shape) for name, x in truth.items()]
    void = rng.choice(['charge', 'exclude'])
    oracle = Person(
        rng.choice([0, 0.2, 0.6]), truth.get, images, CLASSES, void=void
    )
    pixels = sum(image.pixels for image in images)
    ways = [random_way(rng, pixels) for _ in range(rng.randint(1, 6))]
    levels = Levels(rng.choice([1, 2, 5, 10**6]))
    return SimpleNamespace(
        images=images, truth=truth, oracle=oracle, ways=ways, levels=levels
    )


def make_selector(way, seed, context):
    return build(context, seed=seed, **way)
