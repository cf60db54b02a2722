from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor

from segal.errors import ConfigError, nearest
from segal.structures import Prediction

from .heuristics import BaseHeuristic
from .utils import likeliest

_SOURCES = {'dropout': 'samples', 'views': 'views', 'committee': 'committee'}
_PASSES = 10
_MOST_VIEWS = 6


class StochasticHeuristic(BaseHeuristic):
    """A heuristic on several predictions of an image.

    They come from dropout that stays on, while batch norm and all else are as
    in any query; or from other views of the image: mirrored, and at the
    scales 0.75 and 1.25; or from a committee of several networks, the round's
    own and those of ``active_learning.committee``.

    Args:
        passes: How many predictions are made of each image. With dropout 10
            unless said; of views 6 at most, and 6 unless said, 2 are the
            image and its mirror image. The members of a committee answer
            once each.
        source: ``'dropout'``, ``'views'`` or ``'committee'``.

    Raises:
        ConfigError: Another source, or a number that it cannot give.
    """

    needs: tuple[str, ...] = ('samples',)

    def __init__(
        self, passes: int | None = None, source: str = 'dropout'
    ) -> None:
        if source not in _SOURCES:
            raise ConfigError(
                f'source: {source!r} is not known{nearest(source, _SOURCES)}'
            )
        if source == 'committee' and passes is not None:
            raise ConfigError(
                "passes: not together with source='committee', whose members "
                f'answer once each; got {passes}. Leave it out'
            )
        if source == 'dropout' and passes is None:
            passes = _PASSES
        if source == 'views' and passes is None:
            passes = _MOST_VIEWS
        if passes is not None:
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
        """Yield predictions, float32 (C, H, W), one in memory at a time."""
        (source,) = self.needs
        return islice(getattr(prediction, source), self.passes)

    def votes(self, prediction: Prediction) -> tuple[Tensor, int]:
        """Count the votes for each class, and the predictions.

        Returns:
            int16 (C, H, W), and their sum over C.
        """
        votes: Tensor | None = None
        count = 0
        for probs in self.samples(prediction):
            if votes is None:
                votes = torch.zeros_like(probs, dtype=torch.int16)
            choice = likeliest(probs)[None]  # (1, H, W)
            ones = torch.ones_like(choice, dtype=torch.int16)
            votes.scatter_add_(0, choice, ones)  # (C, H, W)
            count += 1
        assert votes is not None
        return votes, count
