from __future__ import annotations

from abc import ABC
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from segal.errors import ConfigError

from .projection import project

KINDS = ('embedding', 'features')
"""What an extractor may say of an image: fields of a ``Prediction``."""


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
    """Describes images by numbers that need no label.

    Args:
        dims: Channels F that the map is brought down to, by a random
            projection that is always the same; None: all that there are.

    Attributes:
        of_network: Whether it looks into the round's own network. Another
            has a network that never changes, so that each image is looked at
            once, and also before the first round.

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
        """Make the embedding and the feature map of one backbone map.

        Args:
            features: floating (F, h, w), as the network gives it.

        Returns:
            The mean over space of all channels, and the map in ``dims``.
        """
        features = features.detach().float()
        return Described(
            features.mean(dim=(1, 2)),  # (D,)
            project(features, self.dims),  # (F, h, w)
        )
