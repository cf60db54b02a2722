"""Every registered selector: exact, never twice, the same on all ranks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segal.errors import ConfigError
from segal.registry import SELECTORS
from segal.seeding import key, place_keys
from segal.structures import Budget, PoolImage
from tests.selectors.build import build
from tests.selectors.cases import ELSEWHERE, OPTIONS, WAYS, Scored

quick = settings(max_examples=120, deadline=None)
ways = st.sampled_from(WAYS)
seeds = st.integers(0, 10**6)
amounts = st.integers(0, 60)


def same(a, b):
    """Whether two selections are the same, scores and order included."""
    assert (a.round, a.unit) == (b.round, b.unit)
    assert list(a.places) == list(b.places)
    assert list(a.scores) == list(b.scores)
    for name in a.places:
        np.testing.assert_array_equal(a.places[name], b.places[name])
        np.testing.assert_array_equal(a.scores[name], b.scores[name])


def test_every_selector_has_a_case():
    ours = {
        name
        for name, cls in SELECTORS.module_dict.items()
        if cls.__module__.startswith('segal.')
    }
    assert {*OPTIONS, *ELSEWHERE} == ours


@quick
@given(ways, seeds, amounts, st.sampled_from([1, 3, 1000]))
def test_the_budget_is_spent_exactly_and_soundly(way, seed, amount, levels):
    name, options = way
    pool = Scored(seed, levels=levels)
    selection, _ = pool.select(name, amount, options)
    assert len(selection) == pool.expected(name, amount, options)
    assert selection.round == 3
    in_pool_order = [x.name for x in pool.images if x.name in selection.places]
    assert list(selection.places) == in_pool_order
    assert list(selection.scores) == in_pool_order
    for image, places in selection.places.items():
        available = pool.available[image].reshape(-1)
        scores = pool.scores[image].reshape(-1)
        assert places.dtype == np.int64
        assert selection.scores[image].dtype == np.float32
        if selection.unit == 'image':
            assert len(places) == 0
            assert available.any()
            assert selection.scores[image].shape == (1,)
        else:
            assert len(places) > 0
            assert (np.diff(places) > 0).all()  # sorted, and none twice
            assert available[places].all()
            np.testing.assert_array_equal(
                selection.scores[image], scores[places]
            )


@quick
@given(ways, seeds, amounts, st.randoms(use_true_random=False))
def test_ranks_and_order_change_nothing(way, seed, amount, random):
    name, options = way
    pool = Scored(seed, count=9, levels=3)
    selection, _ = pool.select(name, amount, options)
    for ranks in (1, 2, 3, 4):
        order = random.sample(range(9), 9)
        other, _ = pool.select(name, amount, options, ranks, order)
        same(selection, other)


@quick
@given(ways, seeds, amounts)
def test_what_is_gathered_is_bounded_by_the_budget(way, seed, amount):
    name, options = way
    pool = Scored(seed, count=12, share=1.0)
    most = pool.gathered(name, amount, options)
    _, shards = pool.select(name, amount, options, ranks=2)
    for shard in shards:
        assert len(shard) <= most
        assert len(np.unique(shard.image)) == len(shard.names)
        for k in range(len(shard.names)):  # best first within each image
            scores = shard.scores[shard.image == k]
            assert (np.diff(scores) <= 0).all()


def brute_force(pool, name, amount, taken=()):
    """All available places, best first, as (score, tie, name, place)."""
    everything = []
    for image in pool.images:
        mask = pool.available[image.name]
        places = np.flatnonzero(mask)
        ties = place_keys(key(0, 3, 'tie', image.name), places)
        scores = pool.scores[image.name].reshape(-1)[places]
        everything += zip(
            (-scores).tolist(),
            ties.tolist(),
            [image.name] * len(places),
            places.tolist(),
            strict=True,
        )
    return [x for x in sorted(everything) if x[2:] not in taken][:amount]


def as_set(selection):
    return {
        (name, place)
        for name, places in selection.places.items()
        for place in places.tolist()
    }


@quick
@given(seeds, amounts, st.sampled_from([1, 2, 5, 10**6]))
def test_global_is_the_sort_of_everything(seed, amount, levels):
    pool = Scored(seed, levels=levels)
    selection, _ = pool.select('PixelsGlobal', amount, dict(per_image=False))
    wanted = {x[2:] for x in brute_force(pool, 'PixelsGlobal', amount)}
    assert as_set(selection) == wanted


@quick
@given(seeds, amounts, st.sampled_from([0.1, 0.5, 0.9]))
def test_global_random_picks_are_the_lowest_draws(seed, amount, share):
    pool = Scored(seed, levels=2)
    options = dict(per_image=False, shuffle_prop=share)
    selection, _ = pool.select('PixelsGlobal', amount, options, ranks=2)
    amount = min(amount, int(pool.free.sum()))
    randoms = int(amount * share + 0.5)
    draws = []
    for image in pool.images:
        places = np.flatnonzero(pool.available[image.name])
        keys = place_keys(key(0, 3, 'shuffle', image.name), places)
        draws += zip(
            keys.tolist(), [image.name] * len(places), places, strict=True
        )
    chance = {(name, int(place)) for _, name, place in sorted(draws)[:randoms]}
    rest = brute_force(pool, 'PixelsGlobal', amount - randoms, chance)
    assert as_set(selection) == chance | {x[2:] for x in rest}


@quick
@given(
    seeds,
    st.integers(0, 12),
    st.sampled_from([1, 2, 100]),
    st.sampled_from([0.0, 0.4]),
    st.sampled_from([None, 10.0, 50.0]),
)
def test_per_image_is_the_sort_of_each(seed, amount, levels, share, percent):
    pool = Scored(seed, levels=levels)
    selection, _ = pool.select(
        'PixelsPerImage',
        amount,
        dict(per_image=True, shuffle_prop=share, top_percent=percent),
    )
    everything = brute_force(pool, 'PixelsPerImage', None)
    for image in pool.images:

        def drawn(places, purpose, name=image.name):
            keys = place_keys(key(0, 3, purpose, name), np.array(places, int))
            return [places[i] for i in np.argsort(keys)]

        best = [x[3] for x in everything if x[2] == image.name]
        quota = min(amount, len(best))
        up = key(0, 3, 'share by chance', image.name) / 2**64
        randoms = int(quota * share + 1 - up)
        wanted = drawn(sorted(best), 'shuffle')[:randoms]
        rest = [place for place in best if place not in wanted]
        quota -= randoms
        if percent is not None:
            top = max(quota, int(image.pixels * percent / 100))
            rest = drawn(rest[:top], 'draw')
        wanted += rest[:quota]
        places = selection.places.get(image.name, np.empty(0))
        assert places.tolist() == sorted(wanted)


def one_image(height, width, scores, available=None):
    """A pool of one image with given scores."""
    pool = Scored(count=1)
    pool.images = [PoolImage('a', (height, width))]
    pool.scores = {'a': np.asarray(scores, np.float32).reshape(height, width)}
    mask = np.ones((height, width), bool) if available is None else available
    pool.available = {'a': mask}
    pool.free = np.array([mask.sum()])
    return pool


FIVE_PERCENT = dict(per_image=True, top_percent=5.0)


class TestTopPercent:
    def test_draws_uniformly_from_the_top_of_the_image(self):
        scores = np.random.default_rng(0).permutation(400)
        pool = one_image(20, 20, scores)
        picked = np.concatenate(
            [
                pool.select('PixelsPerImage', 10, FIVE_PERCENT, seed=seed)[0]
                .scores['a']
                .astype(int)
                for seed in range(300)
            ]
        )
        counts = np.bincount(picked, minlength=400)
        assert counts[:380].sum() == 0  # 20 of 400 pixels are 5 %
        assert (np.abs(counts[380:] - 150) < 50).all()

    def test_the_per_cent_is_of_the_image_counted_among_the_available(self):
        mask = np.zeros((20, 20), bool)
        mask.reshape(-1)[:100] = True
        pool = one_image(20, 20, np.arange(400), mask)
        seen = set()
        for seed in range(60):
            selection, _ = pool.select(
                'PixelsPerImage', 10, FIVE_PERCENT, seed=seed
            )
            seen |= set(selection.places['a'].tolist())
        assert seen == set(range(80, 100))

    def test_is_at_least_the_quota(self):
        pool = one_image(20, 20, np.arange(400))
        selection, _ = pool.select('PixelsPerImage', 30, FIVE_PERCENT)
        assert selection.places['a'].tolist() == list(range(370, 400))

    @pytest.mark.parametrize('percent', [0, -1, 100.5])
    def test_must_be_a_per_cent(self, percent):
        pool = one_image(2, 2, np.arange(4))
        with pytest.raises(ConfigError, match='top_percent'):
            pool.selector(
                'PixelsPerImage', 1, dict(per_image=True, top_percent=percent)
            )


class TestSpread:
    @staticmethod
    def wanted(pool, image, quota, distance):
        """Argmax and suppress, one after the other; then fill."""
        ranked = [
            x[3]
            for x in brute_force(pool, 'PixelsSpread', None)
            if x[2] == image.name
        ]
        width, chosen = image.size[1], []
        for place in ranked:
            far = all(
                max(
                    abs(place // width - other // width),
                    abs(place % width - other % width),
                )
                >= distance
                for other in chosen
            )
            if far and len(chosen) < quota:
                chosen.append(place)
        rest = [place for place in ranked if place not in chosen]
        return sorted(chosen + rest[: quota - len(chosen)])

    @quick
    @given(
        seeds,
        st.integers(0, 12),
        st.sampled_from([1, 2, 100]),
        st.sampled_from([1, 2, 3, 9]),
    )
    def test_is_argmax_and_suppress(self, seed, amount, levels, distance):
        pool = Scored(seed, levels=levels)
        options = dict(per_image=True, distance=distance)
        selection, _ = pool.select('PixelsSpread', amount, options)
        for image in pool.images:
            quota = min(amount, int(pool.available[image.name].sum()))
            got = selection.places.get(image.name, np.empty(0))
            assert got.tolist() == self.wanted(pool, image, quota, distance)

    def test_more_are_sorted_where_the_best_are_close(self):
        """A ridge of high scores, and a quota that reaches beyond it."""
        scores = np.zeros((40, 40), np.float32)
        scores[5] = 0.9
        scores += np.arange(1600).reshape(40, 40) / 1e5
        pool = one_image(40, 40, scores)
        options = dict(per_image=True, distance=10)
        selection, _ = pool.select('PixelsSpread', 9, options)
        rows, columns = np.divmod(selection.places['a'], 40)
        apart = np.maximum(
            abs(rows[:, None] - rows), abs(columns[:, None] - columns)
        )
        assert (apart + 99 * np.eye(9) >= 10).all()
        assert (rows == 5).sum() == 4

    @pytest.mark.parametrize(
        ('options', 'said'),
        [
            (dict(distance=0), 'distance: wanted 1 pixel or more'),
            (dict(top_percent=5.0), 'not together with PixelsSpread'),
        ],
    )
    def test_options_without_meaning(self, options, said):
        with pytest.raises(ConfigError, match=said):
            Scored().selector(
                'PixelsSpread', 3, dict(per_image=True, **options)
            )


def test_a_swapped_candidate_moves_one_pick():
    scores = np.random.default_rng(1).permutation(10000)
    options = dict(per_image=True, top_percent=5.0)
    pool = one_image(100, 100, scores)
    before, _ = pool.select('PixelsPerImage', 20, options)
    at, below = before.places['a'][3], int(np.flatnonzero(scores == 100)[0])
    flat = pool.scores['a'].reshape(-1)
    flat[[at, below]] = flat[[below, at]]
    after, _ = pool.select('PixelsPerImage', 20, options)
    kept = set(before.places['a']) & set(after.places['a'])
    assert len(kept) == 19


def test_rounds_and_seeds_draw_anew():
    pool = one_image(30, 30, np.zeros(900))
    options = dict(per_image=True)
    first, _ = pool.select('PixelsPerImage', 20, options)
    for other in (dict(seed=1), dict(number=4)):
        again, _ = pool.select('PixelsPerImage', 20, options, **other)
        assert set(first.places['a']) != set(again.places['a'])


@pytest.mark.parametrize('share', [0.0, 0.25, 0.5, 1.0])
def test_shuffle_prop_replaces_that_share(share):
    pool = one_image(50, 50, np.arange(2500))
    for name in ('PixelsPerImage', 'PixelsGlobal'):
        options = dict(per_image=name == 'PixelsPerImage', shuffle_prop=share)
        selection, _ = pool.select(name, 10, options)
        top = (selection.places['a'] >= 2490).sum()
        halves = (10 * share, 10 * share + 0.5)  # one or the other
        assert top in {10 - int(count) for count in halves}


@pytest.mark.parametrize('quota', [1, 3])
@pytest.mark.parametrize('share', [0.2, 0.5, 0.9])
def test_shuffle_prop_is_a_share_of_all_picks_however_few_an_image_has(
    quota, share
):
    pool = one_image(20, 20, np.arange(400))
    images = [PoolImage(f'{i:03d}', (20, 20)) for i in range(400)]
    pool.images, pool.free = images, np.full(400, 400)
    pool.scores = {x.name: pool.scores['a'] for x in images}
    pool.available = {x.name: pool.available['a'] for x in images}
    options = dict(per_image=True, shuffle_prop=share)
    selection, _ = pool.select('PixelsPerImage', quota, options)
    places = [selection.places[x.name] for x in images]
    best = sum((at >= 400 - quota).sum() for at in places)
    by_chance = 1 - best / (400 * quota)
    assert by_chance == pytest.approx(share, abs=0.08)
    counts = {int((at < 400 - quota).sum()) for at in places}
    assert len(counts) > 1


class TestWholeImages:
    def pool(self):
        pool = Scored(count=1)
        pool.images = [PoolImage(x, (2, 2)) for x in 'abcd']
        pool.scores = {
            'a': np.array([[0, 0], [0, 1]], np.float32),
            'b': np.array([[0.4, 0.4], [0.4, 0.0]], np.float32),
            'c': np.full((2, 2), 0.2, np.float32),
            'd': np.full((2, 2), 9, np.float32),
        }
        mask = np.ones((2, 2), bool)
        partly = np.array([[1, 1], [1, 0]], bool)
        pool.available = dict(a=mask, b=partly, c=mask, d=~mask)
        pool.free = np.array([4, 3, 4, 0])
        return pool

    @pytest.mark.parametrize(
        ('aggregate', 'order', 'best'),
        [
            ('mean', 'bac', 0.4),  # over available pixels only
            ('max', 'abc', 1.0),
            ('sum', 'bac', 1.2),
            ('median', 'bca', 0.4),
        ],
    )
    def test_aggregates(self, aggregate, order, best):
        pool = self.pool()
        options = dict(per_image=False, aggregate=aggregate)
        for amount in range(1, 4):
            selection, _ = pool.select('WholeImages', amount, options)
            assert set(selection.places) == set(order[:amount])
        np.testing.assert_allclose(selection.scores[order[0]], best)

    def test_nothing_free_is_passed_over(self):
        options = dict(per_image=False)
        selection, _ = self.pool().select('WholeImages', 9, options)
        assert list(selection.places) == ['a', 'b', 'c']

    def test_unknown_aggregate(self):
        with pytest.raises(ConfigError, match="did you mean 'median'"):
            self.pool().selector(
                'WholeImages', 1, dict(per_image=False, aggregate='medain')
            )

    def test_a_budget_for_each_image_has_no_meaning(self):
        with pytest.raises(ConfigError, match='for each image'):
            self.pool().selector('WholeImages', 1, dict(per_image=True))


class TestRefusals:
    """What only a fault of ours could cause ends at once."""

    def setup_method(self):
        self.pool = Scored(3, share=1.0)
        self.image = self.pool.images[0]
        self.mask = self.pool.available[self.image.name]
        self.score = self.pool.scores[self.image.name]

    def selector(self, name='PixelsPerImage'):
        return self.pool.selector(
            name, 3, dict(per_image=name == 'PixelsPerImage')
        )

    @pytest.mark.parametrize('name', list(OPTIONS))
    def test_an_image_shortlisted_twice(self, name):
        selector = self.selector(name)
        self.pool.shortlist(selector, self.image)
        with pytest.raises(RuntimeError, match='shortlisted twice'):
            self.pool.shortlist(selector, self.image)

    @pytest.mark.parametrize('name', list(OPTIONS))
    def test_an_image_on_two_ranks(self, name):
        shards = []
        for _ in range(2):
            selector = self.selector(name)
            for image in self.pool.images:
                self.pool.shortlist(selector, image)
            shards.append(selector.candidates())
        with pytest.raises(RuntimeError, match='twice'):
            selector.choose(shards)

    @pytest.mark.parametrize('name', list(OPTIONS))
    def test_a_missing_shard(self, name):
        selector = self.selector(name)
        with pytest.raises(RuntimeError, match='shortlisted on one rank'):
            selector.choose([selector.candidates()])

    def test_a_wrong_number_of_free_places(self):
        self.mask.reshape(-1)[0] = False
        with pytest.raises(RuntimeError, match='said to be free'):
            self.selector().shortlist(self.image, self.score, self.mask)

    def test_a_score_of_another_size(self):
        with pytest.raises(RuntimeError, match='wanted score and available'):
            self.selector().shortlist(self.image, self.score.T, self.mask)

    def test_an_unknown_image(self):
        stranger = PoolImage('stranger', self.image.size)
        with pytest.raises(RuntimeError, match='stranger'):
            self.selector().shortlist(stranger, self.score, self.mask)

    @pytest.mark.parametrize('share', [-0.1, 1.1])
    def test_shuffle_prop_is_a_share(self, share):
        with pytest.raises(ConfigError, match='shuffle_prop'):
            self.pool.selector(
                'PixelsGlobal', 3, dict(per_image=False, shuffle_prop=share)
            )


def test_inputs_are_untouched():
    pool = Scored(1)
    before = {k: v.copy() for k, v in pool.scores.items()}
    masks = {k: v.copy() for k, v in pool.available.items()}
    for name, options in WAYS:
        pool.select(name, 4, options)
    for image in pool.images:
        np.testing.assert_array_equal(
            pool.scores[image.name], before[image.name]
        )
        np.testing.assert_array_equal(
            pool.available[image.name], masks[image.name]
        )


def test_a_budget_larger_than_the_running_top_ever_held():
    """Many images through one small top: what is cut is never needed."""
    pool = Scored(5, count=150, levels=50, share=1.0)
    wanted = {x[2:] for x in brute_force(pool, 'PixelsGlobal', 40)}
    selector = pool.selector('PixelsGlobal', 40, dict(per_image=False))
    for image in pool.images:
        selector.shortlist(
            image, pool.scores[image.name], pool.available[image.name]
        )
        assert selector._best._count <= 80
    assert as_set(selector.choose([selector.candidates()])) == wanted


def test_the_initial_draw_is_a_selection_like_others():
    pool = one_image(4, 5, np.zeros(20))
    selection, _ = pool.select(
        'PixelsPerImage', 7, dict(per_image=True), number=0
    )
    assert (selection.round, len(selection)) == (0, 7)


def test_budget_zero_asks_nothing():
    pool = Scored(2)
    for name, options in WAYS:
        selection, shards = pool.select(name, 0, options)
        assert len(selection) == 0
        assert selection.places == {}
        if not SELECTORS.get(name).reads_all:
            assert len(shards[0]) == 0


def test_a_negative_budget_is_an_error():
    pool = Scored(2)
    with pytest.raises(ConfigError, match='0 or more'):
        build(
            type='PixelsGlobal',
            images=pool.images,
            free=pool.free,
            budget=Budget(-1, False),
            round=0,
            seed=0,
        )
