"""Reduce channels by a random projection that is always the same."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from segal.seeding import key


def project(features: Tensor, dims: int | None) -> Tensor:
    """Reduce the channels of a map (F, h, w) to ``dims``, if it has more.

    Distances between its columns are kept in expectation, so that neighbours
    stay neighbours. The matrix depends on its shape alone: not on the seed,
    the pool or the process, so that all of them may share a cache.

    Source: Johnson and Lindenstrauss, Extensions of Lipschitz mappings into a
    Hilbert space, 1984; Gaussian as in Dasgupta and Gupta, 2003.
    """
    if dims is None or dims >= len(features):
        return features
    matrix = _gaussian(dims, len(features)).to(features.device)
    return torch.einsum('df,fhw->dhw', matrix, features)


@lru_cache(maxsize=8)
def _gaussian(rows: int, columns: int) -> Tensor:
    """Draw a matrix, float32 (rows, columns), of variance ``1 / rows``."""
    draw = np.random.default_rng(key('projection', rows, columns))
    matrix = draw.standard_normal((rows, columns)) / np.sqrt(rows)
    return torch.from_numpy(matrix.astype(np.float32))
