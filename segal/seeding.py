"""Draw random numbers from keys, never from a generator's state.

A draw is a function of what it is for: ``(seed, round, epoch, name)`` for an
augmentation, ``(seed, round, name, place)`` for a selection. So one swapped
candidate moves one pick, and neither workers nor ranks change a draw.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def key(*parts: object) -> int:
    """Compute a 64-bit number from the purpose of a draw.

    Args:
        parts: Integers and strings; order counts, ``(1, 'a')`` and ``('1',
            'a')`` differ.

    Returns:
        An integer in [0, 2^64).
    """
    text = repr(parts).encode()
    return int.from_bytes(
        hashlib.blake2b(text, digest_size=8).digest(), 'little'
    )


def place_keys(stream: int, places: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Compute one 64-bit number for each place.

    SplitMix64 evaluated at ``stream + place``, so that the number of a place
    does not depend on which other places are asked for.

    Source: Steele et al., Fast Splittable Pseudorandom Number Generators,
    OOPSLA 2014.

    Args:
        stream: From :func:`key`, one for each use.
        places: int64 (N,), flat indices.

    Returns:
        uint64 (N,), uniform over [0, 2^64).
    """
    with np.errstate(over='ignore'):
        mixed = (places.astype(np.uint64) + np.uint64(1)) * _GOLDEN
        mixed += np.uint64(stream)
        mixed ^= mixed >> np.uint64(30)
        mixed *= _MIX_1
        mixed ^= mixed >> np.uint64(27)
        mixed *= _MIX_2
        mixed ^= mixed >> np.uint64(31)
    return mixed


def uniform(keys: NDArray[np.uint64]) -> NDArray[np.float32]:
    """Convert keys to float32 in [0, 1), 24 bits each."""
    return (keys >> np.uint64(40)).astype(np.float32) / np.float32(1 << 24)


def seed_all(*parts: object) -> None:
    """Seed Python, NumPy and torch (all devices) from a key."""
    import torch

    number = key(*parts)
    random.seed(number)
    np.random.seed(number % (1 << 32))
    torch.manual_seed(number % (1 << 63))


@contextmanager
def seeded(*parts: object) -> Iterator[Callable[[], None]]:
    """Seed the CPU generators from a key in this block, and restore them.

    For augmentation, which draws from the global generators of Python, NumPy
    and torch: a loader without workers shares them with dropout.

    Yields:
        A function that seeds them once more, to draw the same again.
    """
    import torch

    python, numpy = random.getstate(), np.random.get_state()
    generator = torch.default_generator
    torch_state = generator.get_state()
    number = key(*parts)

    def again() -> None:
        random.seed(number)
        np.random.seed(number % (1 << 32))
        generator.manual_seed(number % (1 << 63))

    again()
    try:
        yield again
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        generator.set_state(torch_state)
