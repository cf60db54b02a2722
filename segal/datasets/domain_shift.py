"""Change the look of the synthetic scenes, for domain adaptation."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

LOOKS = ('photo', 'game')


def as_game(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Redraw a scene as a game: smooth, colourful, in few shades.

    What is where does not change, so the labels stay. A function of the
    image alone.

    Args:
        image: uint8 (H, W, 3), BGR.

    Returns:
        uint8 (H, W, 3), BGR.
    """
    smooth = cv2.medianBlur(image, 3)
    hsv = cv2.cvtColor(smooth, cv2.COLOR_BGR2HSV).astype(np.float32)
    hsv[..., 0] = (hsv[..., 0] + 20) % 180  # in steps of two degrees
    hsv[..., 1] = np.minimum(40 + 1.6 * hsv[..., 1], 255)
    vivid = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2BGR)
    shades = np.round(vivid / 255 * 12) / 12
    return np.round(255 * shades**0.7).astype(np.uint8)
