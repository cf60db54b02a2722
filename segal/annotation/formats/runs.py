"""Encode and decode masks as runs, as CVAT, COCO and Label Studio do.

CVAT and COCO write the lengths of runs of zeros and ones in turn, zeros
first. CVAT goes row by row through a tight box, COCO column by column
through the image. Label Studio packs the bytes of an RGBA image bit by bit
(``@thi.ng/rle-pack``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_SIZES = (3, 4, 8, 16)
"""Bits that the length of a packed run may have."""


def to_runs(ones: NDArray[np.int64], size: int) -> list[int]:
    """Return the lengths of runs, zeros first.

    Args:
        ones: int64 (N,), where the ones are, sorted.
        size: Of zeros and ones together.
    """
    if not len(ones):
        return [size]
    breaks = np.flatnonzero(np.diff(ones) != 1)
    starts = ones[np.append(0, breaks + 1)]
    ends = ones[np.append(breaks, len(ones) - 1)] + 1
    edges = np.stack([starts, ends], 1).reshape(-1)
    runs: list[int] = np.diff(edges, prepend=0).tolist()
    left = size - int(edges[-1])
    return [*runs, left] if left else runs


def from_runs(runs: Sequence[int], size: int) -> NDArray[np.int64]:
    """Return where the ones are, int64 (N,), sorted.

    Raises:
        ValueError: They are no lengths that add up to ``size``.
    """
    if not all(type(one) is int and 0 <= one <= size for one in runs):
        raise ValueError(f'wanted lengths of runs from 0 to {size}')
    if len(runs) == 3 and sum(runs) == size:
        return np.arange(runs[0], size - runs[2])
    lengths = np.array(runs, np.int64)
    if lengths.sum() != size:
        raise ValueError(
            f'wanted runs of {size} pixels together, got {lengths.sum()}'
        )
    ends, ones = np.cumsum(lengths)[1::2], lengths[1::2]
    steps = np.arange(ones.sum())
    return steps + np.repeat(ends - np.cumsum(ones), ones)


def from_string(text: str) -> list[int]:
    """Return the runs of COCO's compressed form.

    Raises:
        ValueError: It is none.
    """
    runs: list[int] = []
    value = shift = 0
    for letter in text:
        code = ord(letter) - 48
        if not 0 <= code < 64 or shift > 60:
            raise ValueError('wanted runs as COCO compresses them')
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError('wanted whole runs, got a torn one')
    return runs


def pack(mask: NDArray[np.bool_]) -> list[int]:
    """Pack a mask as the bytes of an RGBA image, for Label Studio.

    Args:
        mask: bool (H, W).

    Returns:
        Bytes; 255 in all four channels where the mask is True.
    """
    bits = [f'{4 * mask.size:032b}', f'{8 - 1:05b}']
    bits += [f'{size - 1:04b}' for size in _SIZES]
    runs = to_runs(np.flatnonzero(mask), mask.size)
    for number, run in enumerate(runs):
        value = '11111111' if number % 2 else '00000000'
        left = 4 * run
        while left:
            length = min(left, 1 << _SIZES[-1])
            at = next(k for k in range(4) if length <= 1 << _SIZES[k])
            bits.append(f'1{at:02b}{length - 1:0{_SIZES[at]}b}{value}')
            left -= length
    text = ''.join(bits)
    text += '0' * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, 'big'))


def unpack(packed: Sequence[int], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Unpack a mask of Label Studio; where alpha is not 0, it is True.

    Args:
        packed: Bytes.
        shape: (H, W) that the mask has.

    Raises:
        ValueError: It is no such mask, or truncated.
    """
    try:
        data = bytes(packed)
    except TypeError:
        raise ValueError('wanted bytes, 0 to 255') from None
    size = 4 * shape[0] * shape[1]
    at = 0

    def read(count: int) -> int:
        nonlocal at
        first, at = at, at + count
        if at > 8 * len(data):
            raise ValueError('wanted a whole mask, got a torn one')
        word = int.from_bytes(data[first // 8 : (at + 7) // 8], 'big')
        return word >> (-at % 8) & ((1 << count) - 1)

    if read(32) != size or read(5) != 7:
        raise ValueError(f'wanted {size} packed bytes, as of {shape} pixels')
    sizes = [read(4) + 1 for _ in range(4)]
    found = np.empty(size, np.uint8)
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    done = 0
    while done < size:
        is_run = read(1)
        end = done + 1 + read(sizes[read(2)])
        if end > size:
            raise ValueError('wanted runs within the image')
        if is_run:
            found[done:end] = read(8)
        else:
            words = bits[at : at + 8 * (end - done)]
            at += 8 * (end - done)
            if at > 8 * len(data):
                raise ValueError('wanted a whole mask, got a torn one')
            found[done:end] = np.packbits(words)
        done = end
    return found[3::4].reshape(shape) > 0
