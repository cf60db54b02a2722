"""Compare two checkpoints bit by bit."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from segal.models.weights import load_plain


class _Absent:
    def __repr__(self) -> str:
        return 'nothing'


ABSENT = _Absent()
"""Stands for a value that one of two checkpoints lacks."""


@dataclass(frozen=True)
class TensorDrift:
    """The differences between the tensors of two checkpoints.

    Attributes:
        compared: How many tensors either checkpoint has.
        differ: How many of them differ in a bit, or are missing in one.
        first: Name and difference of the first of these; None without any.
        absolute: Largest ``|a - b|`` over all elements; infinite where a
            tensor is missing or has another shape, or one of two is NaN.
        relative: Largest ``|a - b| / max(|a|, |b|)``, in [0, 2]; infinite
            where ``absolute`` is.
    """

    compared: int = 0
    differ: int = 0
    first: str | None = None
    absolute: float = 0.0
    relative: float = 0.0


def compare_checkpoints(a: Path, b: Path) -> tuple[TensorDrift, list[str]]:
    """Compare two ``final.pth``, with the state of the optimizer.

    Returns the differences of the tensors, and other keys that differ. Paths
    inside the work_dir (two folders up) are compared relative to it.

    Raises:
        StateError: A checkpoint is missing or damaged.
    """
    leaves = [
        dict(_leaves(load_plain(path), _spellings(path.parents[1])))
        for path in (a, b)
    ]
    values: list[str] = []
    differ: list[str] = []
    absolute = relative = 0.0
    compared = 0
    for name in dict.fromkeys([*leaves[0], *leaves[1]]):
        left, right = (found.get(name, ABSENT) for found in leaves)
        if not isinstance(left, Tensor) and not isinstance(right, Tensor):
            values += unlike(left, right, name)
            continue
        compared += 1
        what = _apart(left, right)
        if what is not None:
            differ.append(f'{name} ({what[0]})')
            absolute = max(absolute, what[1])
            relative = max(relative, what[2])
    first = differ[0] if differ else None
    drift = TensorDrift(compared, len(differ), first, absolute, relative)
    return drift, values


def _spellings(folder: Path) -> tuple[str, ...]:
    """List the prefixes of paths into a folder."""
    ways = (str(folder), os.path.abspath(folder), os.path.relpath(folder))
    return tuple(f'{way}/' for way in ways)


def _leaves(
    value: Any, own: tuple[str, ...], name: str = ''
) -> Iterator[tuple[str, Any]]:
    """Yield path and value of every leaf; prefixes in ``own`` are removed."""
    if isinstance(value, dict | list | tuple) and value:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            inside = f'{name}.{key}' if name else str(key)
            yield from _leaves(item, own, inside)
        return
    if isinstance(value, str):
        begin = next((x for x in own if value.startswith(x)), '')
        value = value.removeprefix(begin)
    yield name, value


def _apart(a: Any, b: Any) -> tuple[str, float, float] | None:
    """Describe how two tensors differ: words, absolute, relative; or None."""
    for value in (a, b):
        if not isinstance(value, Tensor):
            return 'only one of them has it', math.inf, math.inf
    if a.shape != b.shape or a.dtype != b.dtype:
        kinds = [f'{x.dtype} {tuple(x.shape)}' for x in (a, b)]
        return ' and '.join(kinds), math.inf, math.inf
    if torch.equal(_bits(a), _bits(b)):
        return None
    wide = [x.detach().to(torch.float64).reshape(-1) for x in (a, b)]
    one_is_nan = wide[0].isnan() != wide[1].isnan()
    alike = (wide[0] == wide[1]) | (wide[0].isnan() & wide[1].isnan())
    gap = (wide[0] - wide[1]).abs().masked_fill(alike, 0)
    gap = gap.masked_fill(one_is_nan, math.inf)
    scale = torch.maximum(wide[0].abs(), wide[1].abs())
    share = torch.where(gap.isinf(), gap, gap / scale).masked_fill(alike, 0)
    count = int((_bits(a) != _bits(b)).any(1).sum())
    words = f'{count} of {a.numel()} elements'
    return words, float(gap.max()), float(share.max())


def _bits(value: Tensor) -> Tensor:
    """Return the bytes of a tensor, uint8 (N, bytes of an element)."""
    flat = value.detach().contiguous().reshape(-1)
    return flat.view(torch.uint8).reshape(-1, value.element_size())


def unlike(a: Any, b: Any, name: str = '') -> Iterator[str]:
    """Yield path and both values of each difference; NaN equals NaN."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in dict.fromkeys([*a, *b]):
            inside = f'{name}.{key}' if name else str(key)
            yield from unlike(a.get(key, ABSENT), b.get(key, ABSENT), inside)
    elif type(a) is not type(b) or (a != b and not (a != a and b != b)):
        yield f'{name}: {a!r} and {b!r}' if name else f'{a!r} and {b!r}'
