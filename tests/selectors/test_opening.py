"""Which images are opened, by what they promise for their cost."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segal.active.opening import Opening, check_opened
from segal.active.selectors import QueryContext, ScorePerCost
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
