"""Which images are opened, by what they promise for their cost."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segal.active.opening import Opening, check_opened
from segal.active.selectors import (
    PixelsGlobal,
    QueryContext,
    ScorePerCost,
)
from segal.errors import ConfigError
from segal.structures import Budget, PoolImage

seeds = st.integers(0, 10**6)


class Case:
    def __init__(self, seed, images=7, size=(4, 5)):
        rng = np.random.default_rng(seed)
        self.images = [PoolImage(f'{i}', size) for i in range(images)]
        self.opened = rng.random(images) < 0.4
        self.scores = {
            x.name: rng.normal(0.3, 0.4, size).astype(np.float32)
            for x in self.images
        }
        self.free = np.where(self.opened, 0, 20)

    def selector(self, most, pixels, first, opening):
        return ScorePerCost(
            QueryContext(
                self.images,
                self.free,
                1,
                0,
                Budget(most, False),
                opened=self.opened,
            ),
            pixels=pixels,
            first_pixels=first,
            opening_pixels=opening,
        )

    def choose(self, ranks, *how):
        shards = []
        for rank in range(ranks):
            selector = self.selector(*how)
            for image in self.images[rank::ranks]:
                closed = not self.opened[int(image.name)]
                selector.shortlist(
                    image,
                    self.scores[image.name],
                    np.full(image.size, closed),
                )
            shards.append(selector.candidates())
        return set(selector.choose(shards[::-1]).places)

    def worth(self, names, pixels, first, opening):
        """The sum of scores that opening these images buys in all."""
        left = int(pixels - len(names) * (first + opening))
        if left < 0:
            return -np.inf
        new = sum(
            np.sort(self.scores[n].ravel())[::-1][:first].clip(0).sum()
            for n in names
        )
        old = [self.scores[x.name].ravel() for x in self.images
               if self.opened[int(x.name)]]  # fmt: skip
        old = np.sort(np.concatenate([*old, []]))[::-1][:left].clip(0).sum()
        return new + old


@settings(max_examples=60, deadline=None)
@given(
    seeds,
    st.integers(0, 4),
    st.integers(1, 30),
    st.integers(1, 6),
    st.sampled_from([0.0, 0.5, 4.0]),
)
def test_no_other_images_would_promise_more(seed, most, pixels, first, open_):
    case = Case(seed)
    how = (pixels, first, open_)
    chosen = case.choose(1, most, *how)
    closed = [x.name for x in case.images if not case.opened[int(x.name)]]
    best = max(
        case.worth(names, *how)
        for count in range(most + 1)
        for names in itertools.combinations(closed, count)
    )
    assert case.worth(sorted(chosen), *how) == pytest.approx(best, abs=1e-4)
    assert case.choose(3, most, *how) == chosen


@pytest.mark.parametrize('ranks', [1, 2])
def test_sums_that_round_to_one_number_are_a_tie_on_any_rank(ranks):
    case = Case(0, images=2, size=(1, 2))
    case.opened[:], case.free[:] = False, 2
    one = np.float32(1)
    found = set()
    for first in range(2):  # their sums differ by less than float32 tells
        case.scores = {
            str(first): np.array([[one, 2e-8]], np.float32),
            str(1 - first): np.array([[one, 1e-8]], np.float32),
        }
        found |= case.choose(ranks, 1, 2, 2, 0.0)
    assert len(found) == 1


def test_first_pixels_are_at_least_one():
    with pytest.raises(ConfigError, match='first_pixels: wanted 1 or more'):
        Case(0).selector(2, 10, 0, 0.0)


FREE = np.full(5, 20)


def mask(*at):
    return np.isin(np.arange(5), at)


@pytest.mark.parametrize(
    ('split', 'inside', 'wanted'),
    [
        ('even', Budget(4, True), [((0, 1, 3), Budget(4, True))]),
        (
            0.25,
            Budget(10, False),
            [((0, 1), Budget(7, False)), ((3,), Budget(3, False))],
        ),
        (
            'score_per_cost',
            Budget(10, False),
            [((0, 1), Budget(4, False)), ((3,), Budget(4, True))],
        ),
    ],
)
def test_a_budget_is_split(split, inside, wanted):
    opening = Opening(None, 1, inside, split, 4, 1.5)
    parts = list(opening.parts(mask(0, 1), mask(3), FREE))
    assert [budget for _, budget in parts] == [budget for _, budget in wanted]
    for (among, _), (at, _) in zip(parts, wanted, strict=True):
        assert np.flatnonzero(among).tolist() == list(at)


def bought(parts, scores):
    """What the best of the pool are in each image, part by part."""
    counts = np.zeros(len(scores), int)
    images = [PoolImage(f'{i}', (1, len(row))) for i, row in enumerate(scores)]
    for among, budget in parts:
        at = np.flatnonzero(among)
        some = [images[i] for i in at]
        free = np.array([image.pixels for image in some])
        selector = PixelsGlobal(QueryContext(some, free, 1, 0, budget))
        for i, image in zip(at, some, strict=True):
            selector.shortlist(
                image, scores[i][None], np.ones(image.size, bool)
            )
        for name, places in selector.choose(
            [selector.candidates()]
        ).places.items():
            counts[int(name)] += len(places)
    return counts.tolist()


@pytest.mark.parametrize(
    ('lengths', 'amount', 'wanted'),
    [
        ((20, 20, 20), 17, [7, 4, 4]),  # 2 are paid for opening them
        ((20, 3, 20), 17, [8, 3, 4]),  # what one has not goes to old ones
        ((5, 20, 20), 17, [5, 5, 5]),  # and what old ones have not, to new
        ((5, 3, 4), 17, [5, 3, 4]),
    ],
)
def test_each_opened_image_gets_its_first_pixels(lengths, amount, wanted):
    opening = Opening(None, 2, Budget(amount, False), 'score_per_cost', 4, 1.0)
    scores = [np.full(n, i, np.float32) for i, n in enumerate(lengths)]
    old, new = np.array([True, False, False]), np.array([False, True, True])
    parts = opening.parts(old, new, np.array(lengths))
    assert bought(parts, scores) == wanted


@pytest.mark.parametrize('split', ['even', 0.3, 'score_per_cost'])
def test_what_cannot_be_split_is_spent_whole(split):
    opening = Opening(None, 1, Budget(10, False), split, 4)
    for old, new in ((mask(), mask(1)), (mask(1), mask())):
        ((among, budget),) = opening.parts(old, new, FREE)
        assert budget == Budget(10, False)
        assert np.flatnonzero(among).tolist() == [1]


@pytest.mark.parametrize('new', [mask(), mask(1), mask(1, 2, 4), mask(0, 1)])
def test_another_number_of_images_is_refused(new):
    opening = Opening(None, 2, Budget(1, True))
    closed = mask(1, 2, 4)
    check_opened(mask(1, 4), closed, opening, None)
    with pytest.raises(RuntimeError, match='wanted 2 images to open, of 3'):
        check_opened(new, closed, opening, None)
