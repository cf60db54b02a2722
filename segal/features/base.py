from __future__ import annotations

from abc import ABC
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from segal.errors import ConfigError
from segal.seeding import key

KINDS = ('embedding', 'features')
"""Kinds of features: fields of a ``Prediction``."""


@dataclass(frozen=True)
class Described:
    """An extractor's description of one image.

    Attributes:
        embedding: float32 (D,), finite.
        features: float32 (F, h, w), finite; it covers the whole image. None
            where the network gives no map.
    """

    embedding: Tensor
    features: Tensor | None = None


class BaseExtractor(ABC):
    """Describe images by features, without labels.

    Args:
        dims: Channels F of the reduced map, by a fixed random projection;
            None: all channels.

    Attributes:
        of_network: True: the features come from the round's own network.
            False: from a network that never changes, which sees each image
            once, also before the first round.

    Raises:
        ConfigError: ``dims`` has no meaning.
    """

    of_network: ClassVar[bool]

    def __init__(self, dims: int | None = None) -> None:
        whole = isinstance(dims, int) and not isinstance(dims, bool)
        if dims is not None and not (whole and dims > 0):
            raise ConfigError(
                'dims: wanted how many channels a map shall keep, 1 or more, '
                f'or None for all; got {dims!r}'
            )
        self.dims = dims

    def describe(self, features: Tensor) -> Described:
        """Make the embedding and the feature map of a backbone map (F, h, w).

        They are the mean over space of all channels, and the map in ``dims``.
        """
        features = features.detach().float()
        return Described(
            features.mean(dim=(1, 2)),  # (D,)
            project(features, self.dims),  # (F, h, w)
        )


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
