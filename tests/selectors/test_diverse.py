"""Selectors of places that lie apart, by hand."""

import numpy as np
import pytest
import torch

from segal.active.heuristics.utils import likeliest
from segal.active.selectors.diverse_pixels import (
    DiverseGlobal,
    DiversePerImage,
)
from segal.errors import ConfigError, SegALError
from segal.registry import SELECTORS
from segal.structures import PoolImage, Prediction
from tests.selectors.cases import OPTIONS, Scored

IMAGES = ('CoreSet', 'KMeansPlusPlus', 'TypiClust', 'Badge')
PIXELS = (
    'PixelsKCentre',
    'PixelsKMeansPlusPlus',
    'PixelsBadge',
    'PixelsKCentreGlobal',
    'PixelsKMeansPlusPlusGlobal',
    'PixelsBadgeGlobal',
)
STRATIFIED = ('PixelsStratified', 'PixelsStratifiedGlobal')
POOL = dict(per_image=False)


def test_all_are_here():
    usual = {'PixelsPerImage', 'PixelsSpread', 'PixelsGlobal', 'WholeImages'}
    known = {x for x in OPTIONS if SELECTORS.get(x).needs}
    assert known == {*IMAGES, *PIXELS, *STRATIFIED}
    assert not known & usual


def pool_of(sizes, scores, labelled=(), **columns):
    """Images with constant scores, and predictions.

    Args:
        sizes: (H, W) of all.
        scores: name -> a number, or (H, W) of them.
        labelled: Names of which nothing is available.
        columns: embedding, features and probs, each name -> nested lists.
    """
    pool = Scored(count=1)
    pool.images = [PoolImage(name, sizes) for name in scores]
    pool.scores = {
        name: np.broadcast_to(np.array(score, np.float32), sizes).copy()
        for name, score in scores.items()
    }
    pool.available = {
        name: np.full(sizes, name not in labelled) for name in scores
    }
    pool.free = np.array([m.sum() for m in pool.available.values()])
    pool.predictions = {
        name: Prediction(
            name=name,
            size=sizes,
            seed=0,
            round=3,
            **{
                column: torch.tensor(values[name], dtype=torch.float32)
                for column, values in columns.items()
            },
        )
        for name in scores
    }
    return pool


def on_a_line(labelled=(), scores=None, **places):
    """Images whose embeddings are numbers."""
    scores = scores or dict.fromkeys(places, 0.5)
    embedding = {name: [float(at)] for name, at in places.items()}
    return pool_of((1, 2), scores, labelled, embedding=embedding)


def chosen(pool, name, amount, **options):
    selection, _ = pool.select(name, amount, {**POOL, **options})
    return set(selection.places)


class TestImages:
    def test_core_set_is_far_from_what_is_labelled(self):
        pool = on_a_line(['l'], a=0, b=4, c=9, d=10, l=1)
        assert chosen(pool, 'CoreSet', 1) == {'d'}
        assert chosen(pool, 'CoreSet', 2) == {'d', 'b'}
        assert chosen(pool, 'CoreSet', 3) == {'d', 'b', 'a'} or chosen(
            pool, 'CoreSet', 3
        ) == {'d', 'b', 'c'}  # both 1 away

    def test_without_labels_the_best_is_first(self):
        scores = dict(a=0.1, b=0.9, c=0.2, d=0.3)
        pool = on_a_line(a=0, b=4, c=9, d=10, scores=scores)
        assert chosen(pool, 'CoreSet', 1) == {'b'}
        assert chosen(pool, 'CoreSet', 2) == {'b', 'd'}

    @pytest.mark.parametrize('ranks', [1, 5])
    @pytest.mark.parametrize(
        ('shortlist', 'wanted'), [(1, 'a'), (2, 'b'), (3.9, 'c'), (4, 'd')]
    )
    def test_the_shortlist_is_that_of_the_scores(
        self, ranks, shortlist, wanted
    ):
        scores = dict(a=0.9, b=0.8, c=0.7, d=0.1, l=0.0)
        pool = on_a_line(['l'], scores, a=0, b=4, c=9, d=10, l=1)
        options = dict(POOL, shortlist=shortlist)
        selection, _ = pool.select('CoreSet', 1, options, ranks)
        assert set(selection.places) == {wanted}

    def test_an_image_that_never_had_a_free_place_is_no_centre(self):
        """All void, and void is not asked: nobody looked at it."""
        pool = on_a_line(['l'], a=0, b=4, c=9, d=10, l=10)
        assert chosen(pool, 'CoreSet', 1) == {'a'}
        selector = pool.selector('CoreSet', 1, POOL)
        selector.labelled[:] = False
        for image in pool.images:
            pool.shortlist(selector, image)
        shard = selector.candidates()
        assert 'l' not in shard.names

    def test_random_picks_are_centres(self):
        pool = on_a_line(a=0, b=1, c=100, d=101)
        for seed in range(8):
            selection, _ = pool.select(
                'CoreSet',
                2,
                dict(per_image=False, shuffle_prop=0.5),
                seed=seed,
            )
            assert len({'a', 'b'} & set(selection.places)) == 1

    def test_k_means_plus_plus_prefers_the_far(self):
        pool = on_a_line(['l'], a=1, b=0, c=9, l=0)
        counts = dict(a=0, b=0, c=0)
        for seed in range(300):
            selection, _ = pool.select('KMeansPlusPlus', 1, POOL, seed=seed)
            counts[next(iter(selection.places))] += 1
        assert counts['b'] == 0  # like the labelled one
        assert 0 < counts['a'] < 20  # 1 in 82

    def test_typiclust_takes_the_middle_of_what_has_no_label(self):
        places = dict(a=0, b=2, c=3, d=4, e=6, l=3)
        places |= dict(v=100, w=102, x=103, y=104, z=106)
        pool = on_a_line(['l'], **places)
        assert chosen(pool, 'TypiClust', 1, neighbours=2) == {'x'}

    def test_badge_avoids_the_certain(self):
        """Gradients are 0 where the network is certain, whatever it sees."""
        sure, coin = [[[1, 1]], [[0, 0]]], [[[0.5, 0.5]], [[0.5, 0.5]]]
        pool = pool_of(
            (1, 2),
            dict(a=0, b=0, c=0, l=0),
            ['l'],
            probs=dict(a=sure, b=coin, c=coin, l=sure),
            features=dict(a=[[[9]]], b=[[[3]]], c=[[[3]]], l=[[[0]]]),
        )
        for seed in range(10):
            selection, _ = pool.select('Badge', 1, POOL, seed=seed)
            assert set(selection.places) < {'b', 'c'}
        assert 'a' in chosen(pool, 'Badge', 2)  # b and c are alike, a is not

    @pytest.mark.parametrize('name', IMAGES)
    def test_a_labelled_image_is_never_asked_again(self, name):
        pool = Scored(4, count=9)
        labelled = {
            image.name
            for image, free in zip(pool.images, pool.free, strict=True)
            if not free
        }
        assert labelled
        assert (
            chosen(pool, name, 99)
            == {image.name for image in pool.images} - labelled
        )

    def test_an_embedding_that_is_not_finite(self):
        pool = on_a_line(a=0, b=np.nan)
        with pytest.raises(SegALError, match=r"CoreSet: wanted finite .*'b'"):
            chosen(pool, 'CoreSet', 1)


def row_of(*colours, scores, probs=None):
    """One image of one row, whose pixels have these features."""
    columns = dict(features={'i': [[list(map(float, colours))]]})
    if probs is not None:
        columns['probs'] = {'i': np.array(probs).T[:, None].tolist()}
    return pool_of((1, len(colours)), {'i': [scores]}, **columns)


def places_of(pool, name, amount, **options):
    selection, _ = pool.select(name, amount, {**POOL, **options})
    return selection.places['i'].tolist()


class TestPixels:
    @pytest.mark.parametrize('name', ['PixelsKCentre', 'PixelsKCentreGlobal'])
    def test_k_centre(self, name):
        pool = row_of(5, 5, 5, 1, 9, 5, scores=[0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
        assert places_of(pool, name, 3) == [0, 3, 4]
        assert places_of(pool, name, 2, shortlist=2) == [0, 3]
        assert places_of(pool, name, 2, shortlist=1.5) == [0, 1]
        assert places_of(pool, name, 4) == [0, 1, 3, 4]

    @pytest.mark.parametrize('ranks', [1, 4])
    @pytest.mark.parametrize(
        ('shortlist', 'wanted'), [(1, 'ab'), (1.5, 'ac'), (2, 'ad')]
    )
    def test_the_shortlist_is_that_of_the_pool(self, ranks, shortlist, wanted):
        scores = dict(a=0.9, b=0.8, c=0.7, d=0.1)
        places = dict(a=0.0, b=4.0, c=9.0, d=10.0)
        features = {name: [[[at]]] for name, at in places.items()}
        pool = pool_of((1, 1), scores, features=features)
        options = dict(POOL, shortlist=shortlist)
        selection, _ = pool.select('PixelsKCentreGlobal', 2, options, ranks)
        assert set(selection.places) == set(wanted)

    @pytest.mark.parametrize(
        'name', ['PixelsKMeansPlusPlus', 'PixelsKMeansPlusPlusGlobal']
    )
    def test_k_means_plus_plus(self, name):
        """What is like a pick is not picked while something else is left."""
        pool = row_of(5, 5, 5, 1, 9, 5, scores=[0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
        for seed in range(10):
            selection, _ = pool.select(
                name, 3, dict(POOL, shortlist=2), seed=seed
            )
            assert set(selection.places['i']) > {3, 4}

    @pytest.mark.parametrize('name', ['PixelsBadge', 'PixelsBadgeGlobal'])
    def test_badge(self, name):
        """Pixels 1 and 2 have gradients, opposite ones; the others none."""
        probs = [(1, 0), (0.6, 0.4), (0.4, 0.6), (1, 0), (1, 0)]
        pool = row_of(
            *(2, 2, 2, 7, -7),
            scores=[0.5, 0.4, 0.3, 0.2, 0.1],
            probs=probs,
        )
        for seed in range(10):
            options = dict(POOL, shortlist=5)
            selection, _ = pool.select(name, 3, options, seed=seed)
            assert set(selection.places['i']) > {1, 2}

    @pytest.mark.parametrize('name', PIXELS)
    def test_what_is_gathered_is_bounded_by_the_budget(self, name):
        """However many images and pixels there are."""
        pool = Scored(3, count=60, levels=1000, share=1.0)
        kind = SELECTORS.get(name)
        assert issubclass(kind, (DiversePerImage, DiverseGlobal))
        options = dict(per_image=False, shortlist=3, dims=2)
        selector = pool.selector(name, 20, options)
        for image in pool.images:
            pool.shortlist(selector, image)
            if name.endswith('Global'):
                held = [picks for picks, _ in selector._best._held]
                assert sum(x.vectors.nbytes for x in held) <= 2 * 60 * 4 * 6
        shard = selector.candidates()
        assert len(shard) == (60 if name.endswith('Global') else 20)
        if name.endswith('Global'):
            per_row = 2 + (1 + 3) * ('Badge' in name)
            assert shard.vectors.shape == (60, per_row)
        else:
            assert shard.vectors is None

    def test_what_was_asked_before_counts_in_its_image(self):
        pool = row_of(5, 5, 1, 9, scores=[0.9, 0.8, 0.7, 0.6])
        pool.available['i'][0, 2] = False
        pool.free[:] = 3
        asked = dict(asked=lambda image: ~pool.available[image.name])
        assert places_of(pool, 'PixelsKCentre', 1) == [0]
        assert places_of(pool, 'PixelsKCentre', 1, **asked) == [3]
        assert places_of(pool, 'PixelsKCentre', 2, **asked) == [0, 3]

    def test_features_that_are_not_finite(self):
        pool = row_of(1, np.inf, 2, 3, scores=[1, 2, 3, 4])
        for name in ('PixelsKCentre', 'PixelsKCentreGlobal'):
            with pytest.raises(SegALError, match=f'{name}: wanted finite'):
                places_of(pool, name, 2)


class TestStratified:
    SCORES = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3]
    PROBS = [(1, 0, 0)] * 4 + [(0, 1, 0)] * 2 + [(0, 0, 1)]

    @pytest.mark.parametrize('name', STRATIFIED)
    @pytest.mark.parametrize(
        ('amount', 'wanted'),
        [
            (3, [0, 4, 6]),
            (5, [0, 1, 4, 5, 6]),  # the third class has but one
            (6, [0, 1, 2, 4, 5, 6]),
            (99, list(range(7))),
        ],
    )
    def test_each_class_gets_the_same(self, name, amount, wanted):
        pool = row_of(*range(7), scores=self.SCORES, probs=self.PROBS)
        assert places_of(pool, name, amount) == wanted

    @pytest.mark.parametrize('name', STRATIFIED)
    def test_what_is_over_is_drawn(self, name):
        pool = row_of(*range(7), scores=self.SCORES, probs=self.PROBS)
        seen = set()
        for seed in range(20):
            selection, _ = pool.select(name, 1, POOL, seed=seed)
            seen.add(int(selection.places['i'][0]))
        assert seen == {0, 4, 6}  # the best of each

    def test_over_the_pool_it_is_the_sort_of_each_class(self):
        pool = Scored(7, count=40, levels=10**6, share=1.0)
        selection, _ = pool.select('PixelsStratifiedGlobal', 60, POOL, 3)
        scores = [[], [], []]
        for image in pool.images:
            classes = likeliest(pool.predictions[image.name].probs).numpy()
            for one in range(3):
                at = (classes == one) & pool.available[image.name]
                scores[one] += pool.scores[image.name][at].tolist()
        wanted = sorted(x for s in scores for x in sorted(s)[-20:])
        got = sorted(np.concatenate(list(selection.scores.values())).tolist())
        assert got == wanted


@pytest.mark.parametrize(
    ('name', 'options', 'said'),
    [
        *((name, dict(shortlist=0.5), 'shortlist: .*; got 0.5')
          for name in (*IMAGES, *PIXELS)),
        *((name, dict(dims=0), 'dims: .*; got 0')
          for name in ('Badge', *PIXELS)),
        *((name, dict(top_percent=5.0), f'not together with {name}')
          for name in (*PIXELS[:3], 'PixelsStratified')),
        ('TypiClust', dict(clusters=0), 'clusters: wanted 1 or more, got 0'),
        ('TypiClust', dict(neighbours=0), 'neighbours: wanted 1 or more'),
        ('CoreSet', dict(per_image=True), 'for each image'),
    ],
)  # fmt: skip
def test_options_without_meaning(name, options, said):
    with pytest.raises(ConfigError, match=said):
        Scored().selector(name, 2, {**POOL, **options})
