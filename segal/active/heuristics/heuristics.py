from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from segal.errors import SegALError, raised_at
from segal.structures import Prediction


class BaseHeuristic(ABC):
    """Scores the pixels of one image: **higher = label this first**.

    A new heuristic is one file with one registered subclass that writes
    :meth:`score`. It knows nothing of labels, masks, budgets, units, ranks or
    devices, and leaves its input as it found it.

    Attributes:
        needs: What of a :class:`~segal.structures.Prediction` is read:
            ``'probs'``, ``'samples'``, ``'views'``, ``'committee'``,
            ``'embedding'``, ``'features'``, ``'pool'``. The model wrapper
            supplies it.
        is_draw: Whether the scores of pixels are draws, of which a region
            takes one; the mean of many would be highest in the smallest.
    """

    needs: tuple[str, ...] = ('probs',)
    is_draw: bool = False

    @abstractmethod
    def score(self, prediction: Prediction) -> Tensor:
        """Compute the score of each pixel; see the class of each heuristic.

        Args:
            prediction: Everything in ``needs`` is there.

        Returns:
            Floating (H, W), finite, higher = label first.
        """

    @torch.no_grad()
    def __call__(self, prediction: Prediction) -> Tensor:
        """Compute :meth:`score`, and check it.

        Returns:
            float32 (H, W), finite, on the device :meth:`score` left it on.

        Raises:
            SegALError: Something in ``needs`` is missing, :meth:`score`
                raised, or what it gave is not a finite floating tensor of
                the image's size.
        """
        name = type(self).__name__
        missing = [x for x in self.needs if getattr(prediction, x) is None]
        if missing:
            raise SegALError(
                f'{name} needs {", ".join(missing)} for {prediction.name!r}, '
                'which the model wrapper did not supply'
            )
        try:
            score = self.score(prediction)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            raise SegALError(
                f'{name}.score of {prediction.name!r} raised '
                f'{type(error).__name__}: {error} ({raised_at(error)}); '
                'mend the heuristic, and run the same command again: the '
                'query is asked anew (--debug shows the traceback)'
            ) from error
        if not isinstance(score, Tensor) or not score.is_floating_point():
            kind = score.dtype if isinstance(score, Tensor) else type(score)
            raise SegALError(
                f'{name}.score of {prediction.name!r}: wanted a floating '
                f'tensor, got {kind}; mend the heuristic'
            )
        if tuple(score.shape) != tuple(prediction.size):
            raise SegALError(
                f'{name}.score of {prediction.name!r}: wanted shape '
                f'{tuple(prediction.size)}, got {tuple(score.shape)}; mend '
                'the heuristic'
            )
        score = score.float()
        bad = int((~torch.isfinite(score)).sum())
        if bad:
            raise SegALError(
                f'{name}.score of {prediction.name!r}: wanted finite numbers, '
                f'got {bad} that are not (NaN or infinite); mend the '
                'heuristic'
            )
        return score
