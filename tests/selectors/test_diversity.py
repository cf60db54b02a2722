"""Diversity as plain functions, against brute force and by hand."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from segal.active.selectors.diversity import (
    Gradients,
    Points,
    errors_at,
    finite,
    k_centre,
    k_means,
    k_means_plus_plus,
    mean_gradient,
    project,
    sample_at,
    typical,
)
from segal.active.selectors.diversity import (
    spread as among,
)
from segal.active.selectors.top import Picks
from segal.errors import SegALError
from segal.seeding import place_keys

quick = settings(max_examples=60, deadline=None)
seeds = st.integers(0, 10**6)


def line(*numbers):
    return np.array(numbers, np.float32)[:, None]


def mask(count, *true):
    found = np.zeros(count, bool)
    found[list(true)] = True
    return found


def keys(count, stream=0):
    return place_keys(stream, np.arange(count))


def points(seed, count=12, dims=3, levels=50):
    rng = np.random.default_rng(seed)
    return rng.integers(0, levels, (count, dims)).astype(np.float32)


def apart(vectors):
    """Squared distances, float64 (N, N)."""
    vectors = vectors.astype(np.float64)
    return ((vectors[:, None] - vectors) ** 2).sum(axis=2)


class TestClouds:
    @quick
    @given(seeds, st.sampled_from([0.0, 1e4]))
    def test_points_know_their_distances(self, seed, offset):
        vectors = points(seed) + np.float32(offset)
        cloud = Points(vectors)
        got = [cloud.squared_to(i) for i in range(len(cloud))]
        np.testing.assert_allclose(got, apart(vectors), rtol=1e-4, atol=1e-2)

    def test_equal_points_are_at_distance_0_and_close_ones_are_not(self):
        rng = np.random.default_rng(0)
        vectors = rng.normal(size=(40, 512)).astype(np.float32) + 7
        vectors[21] = vectors[4]
        vectors[22] = vectors[4] * np.float32(1.01)
        distances = Points(vectors).squared_to(4)
        assert distances[[4, 21]].tolist() == [0, 0]
        assert (np.delete(distances, [4, 21]) > 0).all()

    @quick
    @given(seeds)
    def test_gradients_are_those_written_out(self, seed):
        rng = np.random.default_rng(seed)
        errors, features = rng.normal(size=(9, 3)), rng.normal(size=(9, 4))
        outer = (errors[:, :, None] * features[:, None]).reshape(9, 12)
        cloud = Gradients(
            np.concatenate([errors, features], axis=1).astype(np.float32), 3
        )
        got = [cloud.squared_to(i) for i in range(len(cloud))]
        np.testing.assert_allclose(got, apart(outer), rtol=1e-3, atol=1e-4)


class TestKCentre:
    @pytest.mark.parametrize(
        ('taken', 'chosen'),
        [
            ((), [0, 4, 2, 3, 1]),  # 12 from 0, 3 from 0, 2 from 12
            ((4,), [0, 2, 3, 1]),
            ((0, 4), [2, 3, 1]),
            ((2,), [4, 0, 3, 1]),
        ],
    )
    def test_by_hand(self, taken, chosen):
        cloud = Points(line(0, 1, 3, 10, 12))
        count = len(chosen)
        got = k_centre(cloud, count, mask(5, *taken))
        assert got.tolist() == chosen
        assert k_centre(cloud, 9, mask(5, *taken)).tolist()[:count] == chosen

    @quick
    @given(seeds, st.integers(0, 14), st.integers(0, 3))
    def test_is_greedy(self, seed, count, known):
        vectors = points(seed, levels=4)
        taken = mask(12, *range(known))
        far = apart(vectors)
        got = k_centre(Points(vectors), count, taken)
        assert len(set(got)) == len(got) == min(count, 12 - known)
        chosen = list(range(known))
        for i in got.tolist():
            left = [j for j in range(12) if j not in chosen]
            near = {j: far[j, chosen].min() if chosen else 0 for j in left}
            assert near[i] >= max(near.values()) - 1e-3
            if not max(near.values()):
                assert i == left[0]
            chosen.append(i)

    @quick
    @given(seeds)
    def test_is_within_twice_the_best(self, seed):
        vectors = points(seed, count=8)
        far = np.sqrt(apart(vectors))
        best = min(
            far[:, three].min(axis=1).max()
            for three in map(list, itertools.combinations(range(8), 3))
        )
        got = k_centre(Points(vectors), 3, mask(8))
        assert far[:, got].min(axis=1).max() <= 2 * best + 1e-3


class TestKMeansPlusPlus:
    @quick
    @given(seeds, st.integers(0, 14), st.integers(0, 3))
    def test_each_is_chosen_once(self, seed, count, known):
        cloud = Points(points(seed, levels=2))
        taken = mask(12, *range(known))
        got = k_means_plus_plus(cloud, count, taken, keys(12), seed)
        assert len(set(got)) == len(got) == min(count, 12 - known)
        assert not taken[got].any()

    def test_by_squared_distance(self):
        """Of 0, 1 and 3 beside a chosen 0: never 0, and 3 nine times as 1."""
        cloud = Points(line(0, 0, 1, 3))
        counts = np.zeros(4)
        for stream in range(2000):
            (i,) = k_means_plus_plus(cloud, 1, mask(4, 0), keys(4, 7), stream)
            counts[i] += 1
        assert counts[:2].tolist() == [0, 0]
        assert abs(counts[2] - 200) < 4 * 13.4  # four standard deviations

    def test_the_first_is_drawn_uniformly(self):
        cloud = Points(line(0, 1, 100, 1000))
        counts = np.bincount(
            [
                k_means_plus_plus(cloud, 1, mask(4), keys(4), stream)[0]
                for stream in range(2000)
            ]
        )
        assert (abs(counts - 500) < 80).all()

    def test_each_draw_is_another(self):
        """After either of the far two, the other and the near one are even."""
        vectors = np.array([[0, 0], [10, 0], [10, 1], [0, 1]], np.float32)
        seconds = []
        for stream in range(1000):
            first, second = k_means_plus_plus(
                Points(vectors), 2, mask(4, 0), keys(4), stream
            )
            if first != 3:
                seconds.append(second)
        share = np.mean(np.array(seconds) == 3)
        assert abs(share - 0.5) < 4 * np.sqrt(0.25 / len(seconds))

    def test_the_like_come_last_and_in_order(self):
        cloud = Points(line(5, 5, 5, 6, 5))
        for stream in range(20):
            got = k_means_plus_plus(cloud, 4, mask(5, 1), keys(5), stream)
            assert got.tolist() == [3, 0, 2, 4]

    @quick
    @given(seeds, st.integers(1, 5))
    def test_what_was_not_chosen_did_not_matter(self, seed, count):
        vectors, ties = points(seed), keys(12, seed)
        got = k_means_plus_plus(Points(vectors), count, mask(12), ties, 3)
        other = next(i for i in range(12) if i not in got)
        left = np.delete(np.arange(12), other)
        again = k_means_plus_plus(
            Points(vectors[left]), count, mask(11), ties[left], 3
        )
        assert left[again].tolist() == got.tolist()


class TestKMeans:
    def test_finds_blobs(self):
        rng = np.random.default_rng(1)
        centres = np.array([[0, 0], [50, 0], [0, 50], [80, 80]])
        true = rng.integers(0, 4, 200)
        vectors = (centres[true] + rng.normal(size=(200, 2))).astype('f4')
        for stream in range(5):
            got = k_means(vectors, 4, keys(200), stream)
            pairs = set(zip(true.tolist(), got.tolist(), strict=True))
            assert len(pairs) == 4

    def test_is_a_fixed_point(self):
        vectors = points(3, 60)
        got = k_means(vectors, 5, keys(60), 1)
        means = [vectors[got == k].mean(axis=0) for k in range(5)]
        near = ((vectors[:, None] - np.array(means)) ** 2).sum(axis=2)
        assert got.tolist() == near.argmin(axis=1).tolist()

    def test_fewer_kinds_than_clusters(self):
        got = k_means(line(1, 1, 1, 2), 3, keys(4), 0)
        assert got[0] == got[1] == got[2] != got[3]


class TestTypical:
    A = (0.0, 1.0, 2.1, 3.5, 5.0)
    """The nearest two of 1.0 are 1.0 and 1.1 away: 1.05, the least; of 2.1
    they are 1.1 and 1.4."""
    B = (100.0, 101.0, 101.5, 102.0, 104.0, 107.0)
    """The nearest two of 101.5 are 0.5 and 0.5 away."""
    SMALL = (900.0, 900.01)

    def test_the_middle_of_each_cluster(self):
        vectors = line(*self.A, *self.B)
        got = typical(vectors, 2, mask(11), keys(11), 0, neighbours=2)
        assert got.tolist() == [5 + 2, 1]  # B is larger

    def test_a_cluster_with_a_label_waits(self):
        vectors = line(*self.A, *self.B)
        taken = mask(11, 5 + 5)
        got = typical(vectors, 1, taken, keys(11), 0, neighbours=2)
        assert got.tolist() == [1]

    def test_small_clusters_come_last(self):
        vectors = line(*self.SMALL, *self.A, *self.B)
        got = typical(vectors, 13, mask(13), keys(13), 0, 3, neighbours=2)
        assert got.tolist()[:2] == [2 + 5 + 2, 2 + 1]
        assert set(got[-2:]) == {0, 1}

    def test_more_than_clusters_take_turns(self):
        vectors = line(*self.A, *self.B)
        got = typical(
            vectors, 5, mask(11), keys(11), 0, clusters=2, neighbours=2
        )
        assert [i >= 5 for i in got] == [True, False, True, False, True]

    @quick
    @given(seeds, st.integers(0, 14), st.integers(0, 3))
    def test_each_is_chosen_once(self, seed, count, known):
        taken = mask(12, *range(known))
        got = typical(points(seed, levels=3), count, taken, keys(12), seed)
        assert len(set(got)) == len(got) == min(count, 12 - known)
        assert not taken[got].any()


class TestVectors:
    @pytest.mark.parametrize('cells', [(3, 4), (6, 9), (1, 1), (12, 20)])
    def test_samples_as_bilinear_resizing_does(self, cells):
        features = torch.randn(5, *cells, generator=torch.manual_seed(0))
        size = (12, 18)
        whole = F.interpolate(features[None], size, mode='bilinear')[0]
        got = sample_at(features, np.arange(12 * 18), size)
        torch.testing.assert_close(got, whole.flatten(1).T)
        few = np.array([3, 200, 77])
        assert torch.equal(sample_at(features, few, size), got[few])

    def test_projection(self):
        features = torch.randn(600, 4, 5, generator=torch.manual_seed(0))
        got = project(features, 200, seed=3)
        assert got.shape == (200, 4, 5)
        share = got.square().sum(0) / features.square().sum(0)
        assert (share - 1).abs().max() < 0.4  # four standard deviations
        assert torch.equal(got, project(features, 200, seed=3))
        assert not torch.equal(got, project(features, 200, seed=4))

    def test_few_dimensions_stay(self):
        features = torch.randn(6, 4, 5, generator=torch.manual_seed(0))
        for dims in (6, 7, None):
            assert project(features, dims, 0) is features

    def test_a_mean_gradient_is_that_of_the_loss(self):
        draw = torch.manual_seed(0)
        features = torch.randn(4, 5, 6, generator=draw)
        layer = torch.nn.Conv2d(4, 3, 1)
        logits = layer(features[None])
        F.cross_entropy(logits, logits.argmax(dim=1)).backward()
        probs = logits.detach()[0].softmax(dim=0)
        before = probs.clone()
        got = mean_gradient(probs, features)
        torch.testing.assert_close(
            got, layer.weight.grad.flatten(), rtol=1e-4, atol=1e-6
        )
        assert torch.equal(probs, before)

    def test_a_mean_gradient_of_fewer_cells(self):
        """Of cells of 2 x 2 pixels, each with the features of its cell."""
        draw = torch.manual_seed(1)
        features = torch.randn(4, 3, 2, generator=draw)
        probs = torch.randn(5, 6, 4, generator=draw).softmax(dim=0)
        big = features.repeat_interleave(2, 1).repeat_interleave(2, 2)
        torch.testing.assert_close(
            mean_gradient(probs, features), mean_gradient(probs, big)
        )

    def test_errors(self):
        probs = torch.tensor([[[0.2, 0.5]], [[0.7, 0.5]], [[0.1, 0.0]]])
        got = errors_at(probs, np.array([1, 0, 1]))
        coin, sure = [-0.5, 0.5, 0.0], [0.2, -0.3, 0.1]
        torch.testing.assert_close(got, torch.tensor([coin, sure, coin]))

    def test_finite(self):
        good = np.ones((2, 3), np.float32)
        assert finite(good, 'Badge', 'a') is good
        good[1, 1] = np.nan
        with pytest.raises(SegALError, match=r"Badge: .* of 'a'.* diverged"):
            finite(good, 'Badge', 'a')


@quick
@given(seeds, st.integers(0, 9))
def test_the_order_of_rows_does_not_matter(seed, count):
    rng = np.random.default_rng(seed)
    picks = Picks(
        image=rng.integers(0, 3, 9).astype(np.int32),
        places=np.arange(9),
        scores=rng.integers(0, 2, 9).astype(np.float32),
        ties=keys(9),
        vectors=points(seed, 9, levels=3),
    )
    taken = picks.take(np.arange(2))
    left = picks.take(np.arange(2, 9))

    def spread(rows, count, taken):
        return k_centre(Points(rows.vectors), count, taken)

    got = left.places[among(left, taken, count, spread)]
    other = left.take(rng.permutation(7))
    again = other.places[
        among(other, taken.take(np.array([1, 0])), count, spread)
    ]
    assert again.tolist() == got.tolist()
    if not count:
        assert len(got) == 0
