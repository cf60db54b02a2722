"""Change colours of batches as Pillow and OpenCV change those of an image.

Images are float32 (n, 3, h, w) of whole grey levels, 0 to 255, in BGR. Every
result is of whole grey levels, too. Factors are float32 (n, 1, 1, 1).
"""

from __future__ import annotations

import functools

import cv2
import numpy as np
import torch
from torch import Tensor


def blend(images: Tensor, towards: Tensor | float, factor: Tensor) -> Tensor:
    """Mix images with others as Pillow does: factor 1 keeps them."""
    return (towards + factor * (images - towards)).clamp(0, 255).floor()


def pillow_gray(images: Tensor) -> Tensor:
    """Compute the luminance (n, 1, h, w) as Pillow's mode L."""
    blue, green, red = images.split(1, 1)
    mixed = red * 19595 + green * 38470 + blue * 7471 + 0x8000
    return (mixed / 65536).floor()  # whole numbers below 2^24: exact


def opencv_gray(images: Tensor) -> Tensor:
    """Compute the luminance (n, 1, h, w) as OpenCV does."""
    blue, green, red = images.split(1, 1)
    mixed = red * 9798 + green * 19235 + blue * 3735 + 0x4000
    return (mixed / 32768).floor()


def contrast(images: Tensor, factor: Tensor, inside: Tensor | None) -> Tensor:
    """Move colours away from the mean luminance, as Pillow does.

    Args:
        images: The images.
        factor: 1 keeps them.
        inside: bool (n, 1, h, w), False for padding; None: there is none.
    """
    gray = pillow_gray(images).double()
    count: Tensor | int = gray[0].numel()
    if inside is not None:
        gray = gray * inside
        count = inside.sum((2, 3), keepdim=True)
    # divided, since some devices take the mean by a product
    mean = gray.sum((2, 3), keepdim=True) / count
    return blend(images, (mean + 0.5).floor().float(), factor)


def saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Move colours away from gray, as Pillow does."""
    return blend(images, pillow_gray(images), factor)


def pillow_hue(images: Tensor, shift: Tensor) -> Tensor:
    """Turn the hue by a shift, of 256 a turn, in Pillow's mode HSV.

    Single and double precision stand where they do in its C source, so that
    results are the same.
    """
    blue, green, red = images.unbind(1)
    top, low = images.amax(1), images.amin(1)
    span = top - low
    some = span.clamp(min=1)
    away_b, away_g, away_r = ((top - one) / some for one in (blue, green, red))
    hue = torch.where(
        red == top,
        away_b - away_g,
        torch.where(
            green == top,
            (2 + away_r.double() - away_b).float(),
            (4 + away_g.double() - away_r).float(),
        ),
    )
    hue = (hue.double() / 6 + 1).fmod(1).float()
    hue = (hue.double() * 255).floor().float() * (span > 0)
    sat = ((span / top.clamp(min=1)).double() * 255).floor().float()
    hue = (hue + shift.flatten(1)[..., None]).remainder(256)  # (n, h, w)
    sixths = hue.double() * 6 / 255
    sector = sixths.floor()
    part = (sixths - sector).float()
    share = (sat.double() / 255).float()
    least = top * (1 - share.double())
    falling = top * (1 - (share * part).double())
    rising = top * (1 - share * (1 - part.double()))
    return _sectors(
        sector.float(),
        top,
        *((one + 0.5).floor().float() for one in (least, falling, rising)),
    )


def opencv_hsv(
    images: Tensor, turn: Tensor | float = 0, factor: Tensor | float = 1
) -> Tensor:
    """Turn the hue and scale the saturation in OpenCV's HSV of bytes.

    Args:
        images: The images.
        turn: Whole number, 180 a turn.
        factor: Of the saturation.
    """
    blue, green, red = images.unbind(1)
    top, low = images.amax(1), images.amin(1)
    span = top - low
    hue = torch.where(
        red == top,
        green - blue,
        torch.where(
            green == top, blue - red + 2 * span, red - green + 4 * span
        ),
    )
    scale = (122880 / span.clamp(min=1)).round() * (span > 0)
    hue = ((hue * scale + 2048) / 4096).floor()[:, None]
    scale = (1044480 / top.clamp(min=1)).round()
    sat = ((span * scale + 2048) / 4096).floor()[:, None]
    hue = (hue + turn).remainder(180)[:, 0]
    share = (sat * factor).clamp(0, 255).floor()[:, 0] / 255
    sixths = hue / 30
    sector = sixths.floor()
    part = sixths - sector
    least = top * (1 - share)
    falling = top * (1 - share * part)
    rising = top * (1 - share * (1 - part))
    return _sectors(
        sector, top, *(one.floor() for one in (least, falling, rising))
    )


def _sectors(
    sector: Tensor, top: Tensor, least: Tensor, falling: Tensor, rising: Tensor
) -> Tensor:
    """Choose the channels (n, 3, h, w) in a sector of the colour circle."""
    place = torch.stack([sector + 2, sector + 4, sector], 1).remainder(6)
    found = torch.where(place == 1, falling[:, None], top[:, None])
    found = torch.where(place == 4, rising[:, None], found)
    return torch.where((place == 2) | (place == 3), least[:, None], found)


@functools.lru_cache(maxsize=64)
def blur_weights(size: int, sigma: float) -> tuple[int, ...]:
    """Compute OpenCV's weights of a Gaussian blur of bytes, in 1 / 256.

    The first is that of the middle; zeros at the end are left out.
    """
    impulse = np.zeros((1, 2 * size + 1), np.uint8)
    impulse[0, size] = 255
    seen = cv2.GaussianBlur(impulse, (size, 1), sigma)[0, size:]
    sides = [int(value) for value in seen[1 : size // 2 + 1] if value]
    return (256 - 2 * sum(sides), *sides)


def blur(images: Tensor, weights: Tensor, sizes: Tensor) -> Tensor:
    """Blur images as OpenCV does, mirrored at their borders.

    Args:
        images: The images.
        weights: (n, 1 + radius, 1, 1, 1), in 1 / 256: :func:`blur_weights`.
        sizes: int64 (n, 2), height and width without padding.
    """
    for axis in (3, 2):
        images = _blur_along(images, weights, sizes[:, axis - 2], axis)
    return ((images + 32768) / 65536).floor()  # whole numbers below 2^24


def _blur_along(
    images: Tensor, weights: Tensor, sizes: Tensor, axis: int
) -> Tensor:
    length, radius = images.shape[axis], weights.shape[1] - 1
    place = torch.arange(-radius, length + radius, device=images.device)
    period = (2 * sizes - 2).clamp(min=1)[:, None]
    place = place.abs().remainder(period)  # (n, length + 2 radius)
    place = torch.minimum(place, (period - place).abs())
    place = place[:, None, None] if axis == 3 else place[:, None, :, None]
    shape = list(images.shape)
    shape[axis] = length + 2 * radius
    wide = images.gather(axis, place.expand(shape))
    found = wide.narrow(axis, radius, length) * weights[:, 0]
    for far in range(1, radius + 1):
        pair = wide.narrow(axis, radius - far, length) + wide.narrow(
            axis, radius + far, length
        )
        found = torch.addcmul(found, pair, weights[:, far])
    return found
