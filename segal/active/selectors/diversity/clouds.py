"""Hold points, and compute the distances between them."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from segal.active.selectors.context import Floats

_ROUNDING = 2e-6
"""Squared distances below this share of the squared norms are rounding."""


class Cloud(Protocol):
    """N points."""

    def __len__(self) -> int:
        """N."""

    def squared_to(self, i: int) -> Floats:
        """Compute the squared distance of every point to point ``i``.

        float32 (N,), 0 or more, and 0 at what cannot be told from it.
        """


class Points:
    """Points given by their coordinates, float32 (N, F).

    Memory: 4 N F bytes, beside what was given.
    """

    def __init__(self, vectors: Floats) -> None:
        given = torch.from_numpy(np.ascontiguousarray(vectors))
        if len(given):  # centred, so that a common offset costs no digits
            mean = given.mean(dim=0, dtype=torch.float64).float()
            given = given - mean
        self.vectors = given  # (N, F)
        self.norms = _squares(given)  # (N,)

    def __len__(self) -> int:
        return len(self.vectors)

    def squared_to(self, i: int) -> Floats:
        """See :class:`Cloud`."""
        products = torch.mv(self.vectors, self.vectors[i])
        return _squared(self.norms, products, i)


class Gradients:
    """Gradients of a last layer, ``error x features``, never written out.

    From float32 (N, C + F): the errors of the C ``classes``, then the
    features. The inner product of two outer products is the product of the
    inner ones, so C + F numbers a point do in place of C F.

    Memory: 4 N (C + F) bytes, beside what was given.
    """

    def __init__(self, vectors: Floats, classes: int) -> None:
        given = torch.from_numpy(vectors)
        self.errors = given[:, :classes].clone(
            memory_format=torch.contiguous_format
        )  # (N, C)
        self.features = given[:, classes:].clone(
            memory_format=torch.contiguous_format
        )  # (N, F)
        self.norms = _squares(self.errors) * _squares(self.features)  # (N,)

    def __len__(self) -> int:
        return len(self.norms)

    def squared_to(self, i: int) -> Floats:
        """See :class:`Cloud`."""
        products = torch.mv(self.errors, self.errors[i])
        products *= torch.mv(self.features, self.features[i])
        return _squared(self.norms, products, i)


def _squares(vectors: Tensor) -> Tensor:
    """Compute the squared norms of rows, float32 (N,)."""
    return torch.einsum('nf,nf->n', vectors, vectors)


def _squared(norms: Tensor, products: Tensor, i: int) -> Floats:
    """Compute squared distances from inner products, 0 or more."""
    both = norms + norms[i]
    distances = both - 2 * products
    distances[distances <= _ROUNDING * both] = 0
    distances[i] = 0
    return distances.numpy()
