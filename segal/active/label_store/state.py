"""Hold the bought labels in memory, as flat arrays over the pool."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from segal.active.label_store.file import LabelFile
from segal.errors import DataError
from segal.structures import LABELLED, REFUSED, PoolImage

NEVER = -1
"""``whole_round`` of an image that was not asked as a whole."""


def pool_fingerprint(pool: Sequence[PoolImage]) -> str:
    """Compute a fingerprint of a pool: names, sizes and order."""
    digest = hashlib.blake2b(digest_size=16)
    for image in pool:
        height, width = image.size
        digest.update(f'{image.name}\0{height}x{width}\n'.encode())
    return digest.hexdigest()


class LabelState:
    """Every request so far; P images, N pixels.

    The pixels of image ``at`` are ``row(at)`` of the four long arrays, in the
    order of the requests: 8 bytes a pixel. Names are looked up in the pool by
    bisection.

    Attributes:
        fingerprint: Of the pool.
        offsets: int32 (P + 1,).
        places: int32 (N,), flat indices.
        classes: uint8 (N,), 255 where ``status`` is not ``LABELLED``.
        status: uint8 (N,), ``LABELLED``, ``VOID`` or ``REFUSED``.
        rounds: uint16 (N,).
        whole_round: int32 (P,), the round in which the image was asked as a
            whole, or ``NEVER``.
        whole_status: uint8 (P,), the answer to that request.

    Raises:
        DataError: A name occurs twice in the pool.
    """

    def __init__(self, pool: Sequence[PoolImage]) -> None:
        self.pool = pool
        self.fingerprint = pool_fingerprint(pool)
        self.pixels = np.array([image.pixels for image in pool], np.int32)
        by_name = sorted(range(len(pool)), key=lambda at: pool[at].name)
        for a, b in pairwise(by_name):
            if pool[a].name == pool[b].name:
                raise DataError(
                    f'{pool[a].name!r} is in the pool twice; every image '
                    'needs a name of its own'
                )
        self.by_name = np.array(by_name, np.int32)
        self.offsets = np.zeros(len(pool) + 1, np.int32)
        self.places = np.empty(0, np.int32)
        self.classes = np.empty(0, np.uint8)
        self.status = np.empty(0, np.uint8)
        self.rounds = np.empty(0, np.uint16)
        self.whole_round = np.full(len(pool), NEVER, np.int32)
        self.whole_status = np.zeros(len(pool), np.uint8)

    @property
    def nbytes(self) -> int:
        """The size of all arrays, in bytes."""
        return sum(
            value.nbytes
            for value in vars(self).values()
            if isinstance(value, np.ndarray)
        )

    def at(self, name: str) -> int:
        """Find the position of an image in the pool.

        Raises:
            RuntimeError: The pool has no such image.
        """
        pool = self.pool
        i = bisect_left(self.by_name, name, key=lambda at: pool[at].name)
        if i < len(pool) and pool[at := int(self.by_name[i])].name == name:
            return at
        raise RuntimeError(f'{name!r} is not in the pool')

    def row(self, at: int) -> slice:
        """Return the slice of an image's pixels in the long arrays."""
        return slice(int(self.offsets[at]), int(self.offsets[at + 1]))

    def asked_whole(self, at: int) -> bool:
        """Check whether an image was asked as a whole."""
        return bool(self.whole_round[at] != NEVER)

    def has_map(self, at: int) -> bool:
        """Check whether an image has a label map."""
        return self.asked_whole(at) and self.whole_status[at] != REFUSED

    def free(self) -> NDArray[np.int64]:
        """Count the places not asked yet, int64 (P,)."""
        free = self.pixels.astype(np.int64) - np.diff(self.offsets)
        free[self.whole_round != NEVER] = 0
        return free

    def labelled(self) -> NDArray[np.bool_]:
        """Find the images with at least one label, bool (P,)."""
        running = np.zeros(len(self.status) + 1, np.int64)
        np.cumsum(self.status == LABELLED, out=running[1:])
        by_pixels = np.diff(running[self.offsets]) > 0  # (P,)
        by_whole = (self.whole_round != NEVER) & (
            self.whole_status == LABELLED
        )
        return by_pixels | by_whole

    def until(self, rounds: int) -> list[NDArray]:
        """Copy all requests before a round into flat arrays."""
        early = self.rounds < rounds  # (N,)
        whole = np.flatnonzero(
            (self.whole_round != NEVER) & (self.whole_round < rounds)
        )
        return [
            *self._pixels(early),
            self.rounds[early],
            whole,
            self.whole_round[whole],
            self.whole_status[whole],
        ]

    def holds(self, content: LabelFile) -> bool:
        """Check whether the state holds a round exactly as its file does."""
        image = np.array([self.at(name) for name, _, _ in content.images], int)
        held: list[NDArray]
        wanted: list[NDArray]
        if content.whole:
            whole = np.flatnonzero(self.whole_round == content.round)
            held = [whole, self.whole_status[whole]]
            wanted = [image, content.status]
        else:
            held = self._pixels(self.rounds == content.round)
            image = np.repeat(image, np.diff(content.offsets))
            wanted = [image, content.places, content.classes, content.status]
        return all(
            np.array_equal(a, b) for a, b in zip(held, wanted, strict=True)
        )

    def _pixels(self, which: NDArray[np.bool_]) -> list[NDArray]:
        """Select image, place, class and status of some of the N pixels."""
        image = np.repeat(np.arange(len(self.pool)), np.diff(self.offsets))
        long = (image, self.places, self.classes, self.status)
        return [array[which] for array in long]

    def problem(self, content: LabelFile) -> str | None:
        """Find the first reason not to add a round; None without one."""
        positions: dict[int, str] = {}
        for name, *size in content.images:
            try:
                at = self.at(name)
            except RuntimeError as error:
                return str(error)
            if list(self.pool[at].size) != size:
                return (
                    f'{name!r}: wanted size {tuple(self.pool[at].size)}, got '
                    f'{tuple(size)}'
                )
            if at in positions:
                return f'{name!r} occurs twice'
            positions[at] = name
            if self.asked_whole(at):
                return (
                    f'{name!r} was asked as a whole in round '
                    f'{self.whole_round[at]} and may not be asked again'
                )
        if content.whole:
            free = self.free()
            for at, name in positions.items():
                if not free[at]:
                    return f'every pixel of {name!r} was asked before'
            return None
        return self._pixel_problem(
            np.array(list(positions), np.int64), content
        )

    def _pixel_problem(
        self, positions: NDArray[np.int64], content: LabelFile
    ) -> str | None:
        image = np.repeat(positions, np.diff(content.offsets))  # (n,)
        places = content.places
        outside = (places < 0) | (places >= self.pixels[image])
        if outside.any():
            i = int(outside.argmax())
            at = int(image[i])
            return (
                f'{self.pool[at].name!r}: place {places[i]} is outside its '
                f'{self.pixels[at]} pixels'
            )
        if (content.classes[content.status == LABELLED] == 255).any():
            return 'wanted class ids 0 to 254 where labelled, got 255'
        asked = np.sort(image << 32 | places)
        again = asked[1:][asked[1:] == asked[:-1]]
        if not len(again):
            rows = np.repeat(np.arange(len(self.pool)), np.diff(self.offsets))
            again = np.intersect1d(asked, rows << 32 | self.places)
        if len(again):
            at, place = divmod(int(again[0]), 1 << 32)
            return f'{self.pool[at].name!r}: place {place} was asked twice'
        return None

    def take_in(self, content: LabelFile) -> None:
        """Add a round; see :meth:`problem`."""
        positions = np.array(
            [self.at(name) for name, _, _ in content.images], np.int64
        )
        if content.whole:
            self.whole_round[positions] = content.round
            self.whole_status[positions] = content.status
            return
        lengths = np.diff(content.offsets)
        ends = np.repeat(self.offsets[positions + 1], lengths)  # (n,)
        rounds = np.uint16(content.round)
        self.places = np.insert(self.places, ends, content.places)
        self.classes = np.insert(self.classes, ends, content.classes)
        self.status = np.insert(self.status, ends, content.status)
        self.rounds = np.insert(self.rounds, ends, rounds)
        added = np.zeros(len(self.pool), np.int32)
        added[positions] = lengths
        self.offsets[1:] += np.cumsum(added, dtype=np.int32)
