from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from torch import Tensor

from segal.errors import ConfigError, nearest
from segal.structures import Prediction

from .heuristics import BaseHeuristic

_SOURCES = {'dropout': 'samples', 'views': 'views'}
_MOST_VIEWS = 6


class StochasticHeuristic(BaseHeuristic):
    """A heuristic on several predictions of an image.

    They come from dropout that stays on, while batch norm and all else are as
    in any query; or from other views of the image: mirrored, and at the
    scales 0.75 and 1.25.

    Args:
        passes: How many predictions are made of each image; of views 6 at
            most, 2 are the image and its mirror image.
        source: ``'dropout'`` or ``'views'``.

    Raises:
        ConfigError: Another source, or a number that it cannot give.
    """

    needs: tuple[str, ...] = ('samples',)

    def __init__(self, passes: int = 10, source: str = 'dropout') -> None:
        if source not in _SOURCES:
            raise ConfigError(
                f'source: {source!r} is not known{nearest(source, _SOURCES)}'
            )
        most = _MOST_VIEWS if source == 'views' else passes
        if not 2 <= passes <= most:
            raise ConfigError(
                'passes: wanted 2 or more'
                + (f', up to {most} views' if source == 'views' else '')
                + f'; got {passes}'
            )
        self.passes = passes
        self.needs = (_SOURCES[source],)

    def samples(self, prediction: Prediction) -> Iterator[Tensor]:
        """Each float32 (C, H, W); one is in memory at a time."""
        (source,) = self.needs
        return islice(getattr(prediction, source), self.passes)
