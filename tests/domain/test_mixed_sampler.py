from itertools import chain, islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segal.active.dataset.sampler import (
    MixedBatchSampler,
    RoundBatchSampler,
    batch_sampler,
)


def positions(batch):
    return [position for _, position in batch]


@given(
    pool=st.integers(1, 12),
    sources=st.integers(1, 12),
    batch=st.integers(2, 6),
    world=st.integers(1, 3),
    data=st.data(),
)
@settings(max_examples=100, deadline=None)
def test_each_batch_has_its_share_of_both(pool, sources, batch, world, data):
    share = data.draw(st.integers(1, batch - 1))
    ranks = [
        MixedBatchSampler(pool, sources, batch, share, 0, 0, rank, world)
        for rank in range(world)
    ]
    together = MixedBatchSampler(
        pool, sources, batch * world, share * world, 0, 0
    )
    for iteration in range(7):
        dealt = [one.batch(iteration) for one in ranks]
        for one in dealt:
            found = positions(one)
            assert len(found) == batch
            assert sum(place >= pool for place in found) == share
            assert max(found) < pool + sources
        assert sorted(chain(*dealt)) == sorted(together.batch(iteration))


def test_an_epoch_is_one_pass_over_the_pool():
    sampler = MixedBatchSampler(10, 3, 5, 2, seed=0, round=0)
    assert len(sampler) == 4  # 10 images, 3 of each batch
    first, second = list(sampler), list(sampler)
    assert len(first) == len(second) == 4
    seen = [pair for batch in first + second for pair in batch]
    of_pool = [pair for pair in seen if pair[1] < 10]
    # every image once in each pass, and each pass in another order
    assert sorted(of_pool[:10]) == [(0, i) for i in range(10)]
    assert sorted(of_pool[10:20]) == [(1, i) for i in range(10)]
    assert positions(of_pool[:10]) != positions(of_pool[10:20])
    of_sources = [pair for pair in seen if pair[1] >= 10]
    assert sorted(of_sources[:3]) == [(0, 10), (0, 11), (0, 12)]


def test_few_images_come_again_with_another_augmentation():
    sampler = MixedBatchSampler(1, 50, 4, 1, seed=0, round=0)
    assert sampler.batch(0)[:3] == [(0, 0), (1, 0), (2, 0)]


def test_before_any_label_is_bought_there_are_sources_alone():
    sampler = MixedBatchSampler(0, 9, 6, 3, seed=0, round=0)
    assert len(sampler) == 3
    assert sorted(chain(*map(positions, sampler))) == list(range(9))
    # batch norm wants two
    assert len(MixedBatchSampler(0, 9, 2, 1, seed=0, round=0).batch(0)) == 2


def test_order_is_a_function_of_seed_and_round():
    def order(seed, number):
        sampler = MixedBatchSampler(20, 20, 4, 2, seed, number)
        return [sampler.batch(i) for i in range(10)]

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(1, 0)
    assert order(0, 0) != order(0, 1)


@pytest.mark.parametrize('start', [0, 1, 4, 5, 11])
def test_starts_anywhere(start):
    def sampler(endless):
        return MixedBatchSampler(10, 7, 4, 2, 0, 0, endless=endless)

    whole = list(islice(sampler(True), 20))
    moved = sampler(True)
    moved.start_at(start)
    assert list(islice(moved, 20 - start)) == whole[start:]
    by_epoch = sampler(False)
    by_epoch.start_at(start)
    rest = list(by_epoch)  # of the epoch
    assert rest == whole[start : (start // 5 + 1) * 5]
    assert list(by_epoch) == whole[start + len(rest) :][:5]


def test_without_a_share_all_are_shuffled_together():
    mixed = batch_sampler(5, 4, 4, None, seed=3, round=1)
    assert isinstance(mixed, RoundBatchSampler)
    plain = RoundBatchSampler(9, 4, seed=3, round=1)
    assert mixed.batches(2) == plain.batches(2)
    assert isinstance(batch_sampler(5, 4, 4, 1, 0, 0), MixedBatchSampler)
