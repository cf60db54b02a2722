"""Upsample bilinearly at some pixels only."""

from __future__ import annotations

import torch
from torch import Tensor


def upsampled_at(
    maps: Tensor,
    image: Tensor,
    row: Tensor,
    column: Tensor,
    size: tuple[int, int],
    align_corners: bool,
) -> Tensor:
    """Compute the values of upsampled maps at N pixels only.

    The values, and the gradients, of ``F.interpolate(maps, size,
    mode='bilinear', align_corners=align_corners)`` at these pixels, but for
    the last rounding. As there, half precision is blended in single.

    The ``maps`` are float (B, C, h, w); ``image``, ``row`` in [0, H) and
    ``column`` in [0, W) are int64 (N,). Returns float (N, C), in the precision
    of ``maps``.
    """
    if tuple(maps.shape[2:]) == tuple(size):
        return maps[image, :, row, column]  # (N, C)
    exact = torch.promote_types(maps.dtype, torch.float32)
    top, bottom, down = _between(
        row.to(exact), maps.shape[2], size[0], align_corners
    )
    left, right, along = _between(
        column.to(exact), maps.shape[3], size[1], align_corners
    )
    corners = maps[
        image.repeat(4),
        :,
        torch.cat([top, top, bottom, bottom]),
        torch.cat([left, right, left, right]),
    ].to(exact)  # (4N, C)
    weights = torch.stack(
        [
            (1 - down) * (1 - along),
            (1 - down) * along,
            down * (1 - along),
            down * along,
        ]
    )  # (4, N)
    blended = corners.unflatten(0, weights.shape) * weights[..., None]
    return blended.sum(dim=0).to(maps.dtype)  # (N, C)


def _between(
    places: Tensor, few: int, many: int, align_corners: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Find the two cells of a short axis around each place of a long one.

    Returns the cell before and the cell after, int64 (N,), and how far the
    place is from the one to the other, float (N,) in [0, 1].
    """
    if align_corners:
        at = places * ((few - 1) / max(many - 1, 1))
    else:
        at = ((places + 0.5) * (few / many) - 0.5).clamp(min=0)
    before = at.long().clamp(max=few - 1)
    after = (before + 1).clamp(max=few - 1)
    return before, after, (at - before).clamp(max=1)
