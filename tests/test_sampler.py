import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segal.active.dataset.sampler import RoundBatchSampler


def flat(sampler, epoch=0):
    return [
        position for batch in sampler.batches(epoch) for _, position in batch
    ]


@given(
    length=st.integers(1, 40),
    batch=st.integers(1, 6),
    world=st.integers(1, 4),
    drop=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_ranks_share_an_epoch(length, batch, world, drop):
    ranks = [
        RoundBatchSampler(length, batch, 0, 0, rank, world, drop)
        for rank in range(world)
    ]
    per_rank = [sampler.batches(3) for sampler in ranks]
    sizes = [[len(one) for one in batches] for batches in per_rank]
    assert all(size == sizes[0] for size in sizes)
    assert len(sizes[0]) == len(ranks[0]) > 0
    assert min(sizes[0]) >= min(2, batch)
    assert max(sizes[0]) <= batch
    seen = {position for sampler in ranks for position in flat(sampler, 3)}
    if drop and length >= batch * world:
        assert len(seen) == length // (batch * world) * batch * world
    else:
        assert seen == set(range(length))


def test_small_set_fills_one_batch():
    sampler = RoundBatchSampler(3, 8, seed=1, round=0)
    assert [len(batch) for batch in sampler.batches(0)] == [8]


def test_last_batch_of_one_gets_a_second():
    sampler = RoundBatchSampler(9, 4, seed=1, round=0)
    batches = sampler.batches(0)
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert batches[2][1] == batches[0][0]


def test_order_is_a_function_of_seed_round_and_epoch():
    def order(seed, index, epoch):
        return flat(RoundBatchSampler(30, 4, seed, index), epoch)

    assert order(0, 0, 0) == order(0, 0, 0)
    others = [order(1, 0, 0), order(0, 1, 0), order(0, 0, 1)]
    assert all(order(0, 0, 0) != other for other in others)


def test_goes_on_with_the_next_epoch():
    sampler = RoundBatchSampler(10, 4, seed=0, round=0)
    first, second = list(sampler), list(sampler)
    assert (first, second) == (sampler.batches(0), sampler.batches(1))


@pytest.mark.parametrize('start', [0, 1, 5, 7])
def test_starts_anywhere(start):
    whole = RoundBatchSampler(10, 4, seed=0, round=0, endless=True)
    batches = [batch for batch, _ in zip(whole, range(12), strict=False)]
    moved = RoundBatchSampler(10, 4, seed=0, round=0, endless=True)
    moved.start_at(start)
    rest = [batch for batch, _ in zip(moved, range(12 - start), strict=False)]
    assert rest == batches[start:]


def test_empty_set_has_no_iterations():
    assert len(RoundBatchSampler(0, 4, seed=0, round=0)) == 0
