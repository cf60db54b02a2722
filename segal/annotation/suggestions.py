"""Suggest likely classes, from what the network that asked predicts."""

from __future__ import annotations

import numpy as np

from segal.annotation import predictions
from segal.annotation.folder import AnnotationFolder
from segal.annotation.request import Request
from segal.annotation.shares import is_suggested

MOST = 3
LEAST_PROB = 0.05
"""Of a class that is suggested beside the likeliest."""


class Suggestions:
    """The likely classes of each item of a round.

    There are none where no network asked, or none are wanted.

    Raises:
        StateError: The predictions are damaged.
    """

    def __init__(self, folder: AnnotationFolder, request: Request) -> None:
        options = folder.options()
        self._probs = None
        if options.suggest != 'none':
            self._probs = predictions.read(folder, request.round)
        self._shown = is_suggested(request, options)

    def of(self, item: int) -> list[int]:
        """Return the likely classes of an item, the likeliest first.

        Empty where nothing is suggested.
        """
        if self._probs is None or not self._shown[item]:
            return []
        probs = self._probs[item]
        likely = np.argsort(-probs, kind='stable')[:MOST]
        return [
            int(cls)
            for place, cls in enumerate(likely)
            if place == 0 or probs[cls] >= LEAST_PROB
        ]

    def likeliest(self, item: int) -> int | None:
        """Return the likeliest class, suggested or not; None: not known."""
        return None if self._probs is None else int(self._probs[item].argmax())
