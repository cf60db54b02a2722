"""Change colour and sharpness without moving any pixel.

Randomness comes from the global generators, which the caller seeds for each
sample.
"""

from __future__ import annotations

from typing import Any

import cv2
import mmcv
import numpy as np
import torch
from mmseg.datasets.builder import PIPELINES
from PIL import Image
from torchvision import transforms


def _share(prob: float) -> float:
    """Check that a value is a probability."""
    if not 0 <= prob <= 1:
        raise ValueError(f'prob: wanted a number from 0 to 1; got {prob!r}')
    return prob


class _Sometimes:
    """A step that happens with a probability."""

    prob: float

    def happens(self) -> bool:
        """Draw whether it happens."""
        return torch.rand(()).item() < self.prob


@PIPELINES.register_module()
class RandomColorJitter(_Sometimes):
    """torchvision's ``ColorJitter`` on mmseg's images.

    Brightness, contrast, saturation and hue change in random order. mmseg's
    ``PhotoMetricDistortion`` is milder, and changes each with p 0.5.

    Args:
        brightness: Factor drawn from [1 - value, 1 + value], as are
            ``contrast`` and ``saturation``.
        contrast: As ``brightness``.
        saturation: As ``brightness``.
        hue: Turn of the colour circle, drawn from [-hue, hue] with 1 a whole
            turn; at most 0.5.
        prob: How often it happens.
    """

    def __init__(
        self,
        brightness: float = 0.8,
        contrast: float = 0.8,
        saturation: float = 0.8,
        hue: float = 0.2,
        prob: float = 0.8,
    ) -> None:
        self.jitter = transforms.ColorJitter(
            brightness, contrast, saturation, hue
        )
        self.prob = _share(prob)

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change ``results['img']``, uint8 (H, W, 3) in BGR."""
        if self.happens():
            picture = Image.fromarray(mmcv.bgr2rgb(results['img']))
            results['img'] = mmcv.rgb2bgr(np.asarray(self.jitter(picture)))
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.jitter}, prob={self.prob})'


@PIPELINES.register_module()
class RandomGrayscale(_Sometimes):
    """Removes all colour from an image; three equal channels remain.

    Args:
        prob: How often it happens.
    """

    def __init__(self, prob: float = 0.2) -> None:
        self.prob = _share(prob)

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change ``results['img']``, uint8 (H, W, 3) in BGR."""
        if self.happens():
            results['img'] = mmcv.gray2bgr(mmcv.bgr2gray(results['img']))
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(prob={self.prob})'


@PIPELINES.register_module()
class RandomGaussianBlur(_Sometimes):
    """Gaussian blur of random width.

    OpenCV's, which is separable: torchvision's takes 20 times as long with
    this kernel.

    Args:
        kernel_size: Side of the kernel in pixels, odd.
        sigma: Lowest and highest standard deviation in pixels, or the one
            that is always taken.
        prob: How often it happens.

    Raises:
        ValueError: One of these cannot be.
    """

    def __init__(
        self,
        kernel_size: int = 37,
        sigma: float | tuple[float, float] = (0.1, 2.0),
        prob: float = 0.5,
    ) -> None:
        whole = isinstance(kernel_size, int) and kernel_size > 0
        if not whole or kernel_size % 2 == 0:
            raise ValueError(
                f'kernel_size: wanted an odd number above 0; got '
                f'{kernel_size!r}'
            )
        pair = [sigma] * 2 if isinstance(sigma, (int, float)) else [*sigma]
        if len(pair) != 2 or not 0 < pair[0] <= pair[1]:
            raise ValueError(
                f'sigma: wanted (lowest, highest), both above 0; got {sigma!r}'
            )
        self.kernel_size = kernel_size
        self.sigma = (float(pair[0]), float(pair[1]))
        self.prob = _share(prob)

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change ``results['img']``, uint8 (H, W, 3)."""
        if self.happens():
            size = (self.kernel_size, self.kernel_size)
            results['img'] = cv2.GaussianBlur(
                results['img'], size, self.draw_sigma()
            )
        return results

    def draw_sigma(self) -> float:
        """Draw a standard deviation in pixels."""
        low, high = self.sigma
        return low + (high - low) * torch.rand(()).item()

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(kernel_size={self.kernel_size}, '
            f'sigma={self.sigma}, prob={self.prob})'
        )
