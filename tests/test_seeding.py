"""Randomness from keys."""

import random

import numpy as np
import torch

from segal.seeding import key, place_keys, seed_all, seeded, uniform


def test_a_key_tells_its_parts_apart():
    parts = [(1, 'a'), ('1', 'a'), ('a', 1), (1, 'a', 0), ('1a',), (1,), ()]
    assert len({key(*x) for x in parts}) == len(parts)
    assert key(1, 'a') == key(1, 'a')
    assert all(0 <= key(i) < 2**64 for i in range(100))


def test_a_key_stays_what_it_was():
    """Selections of old experiments can be made again."""
    assert key(0, 1, 'tie', 'a') == 13070185654981175353
    assert place_keys(key(0), np.array([-1, 0, 5])).tolist() == [
        7694932066457674470,
        10112633897220998296,
        4926286724265017027,
    ]


def test_place_keys_do_not_depend_on_company():
    places = np.arange(1000)
    keys = place_keys(key('x'), places)
    np.testing.assert_array_equal(
        place_keys(key('x'), places[::-7]), keys[::-7]
    )
    assert len(np.unique(keys)) == 1000
    assert not np.isin(place_keys(key('y'), places), keys).any()


def test_place_keys_leave_their_input():
    places = np.arange(5)
    place_keys(3, places)
    np.testing.assert_array_equal(places, np.arange(5))


def test_place_keys_are_uniform_in_every_bit():
    keys = place_keys(key('bits'), np.arange(20000))
    for bit in range(64):
        ones = (keys >> np.uint64(bit) & np.uint64(1)).mean()
        assert abs(ones - 0.5) < 0.02, bit


def test_neighbours_and_streams_are_independent():
    a, b = (uniform(place_keys(key(x), np.arange(20000))) for x in 'ab')
    for other in (a[1:], b[1:], b[:-1]):
        assert abs(np.corrcoef(a[:-1], other)[0, 1]) < 0.03


def test_uniform_is_in_the_half_open_interval():
    ends = uniform(np.array([0, 2**64 - 1], np.uint64))
    assert ends.dtype == np.float32
    assert ends[0] == 0
    assert ends[1] < 1


def draw():
    numpy = np.random.rand()
    return random.random(), numpy, torch.rand(1).item()


def test_seed_all_and_seeded_draw_the_same():
    seed_all(3, 'x')
    first = draw()
    with seeded(3, 'x'):
        assert draw() == first
    with seeded(3, 'y'):
        assert draw() != first


def test_seeded_leaves_the_generators_as_it_found_them():
    seed_all('outer')
    draw()
    seed_all('outer')
    expected = [draw(), draw()]
    seed_all('outer')
    got = [draw()]
    try:
        with seeded('inner'):
            draw()
            raise KeyError
    except KeyError:
        pass
    got.append(draw())
    assert got == expected
