"""Describe points of an image by vectors."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from segal.active.heuristics.utils import likeliest
from segal.active.selectors.context import Floats, Ints
from segal.errors import SegALError
from segal.seeding import key, place_keys


def finite(vectors: Floats, who: str, name: str) -> Floats:
    """Check that the vectors of an image are finite, and return them.

    Raises:
        SegALError: One is NaN or infinite.
    """
    if not np.isfinite(vectors).all():
        raise SegALError(
            f'{who}: wanted finite features of {name!r}, got some that are '
            'NaN or infinite: training has diverged; lower optimizer.lr, or '
            'clip gradients (optimizer_config.grad_clip), in another work_dir'
        )
    return vectors


def sample_at(features: Tensor, places: Ints, size: tuple[int, int]) -> Tensor:
    """Interpolate features (F, h, w) at pixels of an image, bilinearly.

    The ``places``, int64 (n,), are flat indices into an image of ``size`` (H,
    W). Each is interpolated by itself, whichever others are asked for. Returns
    float32 (n, F).
    """
    height, width = features.shape[1:]
    rows, columns = np.divmod(places, size[1])
    top, bottom, down = _between(rows, size[0], height)
    left, right, across = _between(columns, size[1], width)
    flat = features.flatten(1).T  # (h w, F)

    def at(row: Ints, column: Ints) -> Tensor:
        index = torch.from_numpy(row * width + column)
        return flat[index.to(flat.device)]  # (n, F)

    x, y = (
        torch.from_numpy(share[:, None]).to(flat.device)
        for share in (across, down)
    )
    upper = at(top, left) * (1 - x) + at(top, right) * x
    lower = at(bottom, left) * (1 - x) + at(bottom, right) * x
    return upper * (1 - y) + lower * y


def _between(at: Ints, pixels: int, cells: int) -> tuple[Ints, Ints, Floats]:
    """Find the two cells around a pixel, and how near the second is."""
    where = ((at + 0.5) * (cells / pixels) - 0.5).clip(0, cells - 1)
    first = where.astype(np.int64)
    second = np.minimum(first + 1, cells - 1)
    return first, second, (where - first).astype(np.float32)


def project(features: Tensor, dims: int | None, seed: int) -> Tensor:
    """Project features (F, ...) to ``dims``, nearly keeping distances.

    A matrix of keyed signs; the relative error of a squared distance is about
    ``sqrt(2 / dims)``. None, and ``dims`` of F or more, keep all.

    Source: Achlioptas, Database-friendly random projections, 2003.
    """
    if dims is None or len(features) <= dims:
        return features
    signs = _signs(dims, len(features), seed).to(features.device)
    return (signs @ features.flatten(1)).view(dims, *features.shape[1:])


@lru_cache(maxsize=4)
def _signs(rows: int, columns: int, seed: int) -> Tensor:
    draws = place_keys(key(seed, 'projection'), np.arange(rows * columns))
    signs = np.where(draws >> np.uint64(63), 1.0, -1.0) / np.sqrt(rows)
    return torch.from_numpy(signs.astype(np.float32)).view(rows, columns)


def errors_at(probs: Tensor, places: Ints) -> Tensor:
    """Compute ``p - e`` of n pixels, with e 1 at the likeliest class.

    This is the gradient of the logits if that class were true. From ``probs``,
    float32 (C, H, W): float32 (n, C), sums to 0 over C.
    """
    index = torch.from_numpy(places).to(probs.device)
    errors = probs.flatten(1)[:, index].T.float().clone()  # (n, C)
    rows = torch.arange(len(errors), device=errors.device)
    errors[rows, errors.argmax(dim=1)] -= 1
    return errors


def mean_gradient(probs: Tensor, features: Tensor) -> Tensor:
    """Average the gradient of a last 1x1 layer, for the likeliest classes.

    The mean over all cells of ``error x features``, where a cell's error is
    the mean ``p - e`` of its pixels. From ``probs``, float32 (C, H, W), and
    ``features``, float32 (F, h, w): float32 (C F,). Memory: one more map like
    ``probs``.

    Source: Ash et al., Deep Batch Active Learning by Diverse, Uncertain
    Gradient Lower Bounds, ICLR 2020, equation 1, for the mean cross-entropy of
    all pixels.
    """
    errors = probs.float().clone()
    true = likeliest(probs)  # (H, W)
    for number, plane in enumerate(errors):
        plane -= (true == number).float()
    height, width = features.shape[1:]
    cells = F.adaptive_avg_pool2d(errors[None], (height, width))[0]
    gradient = cells.flatten(1) @ features.float().flatten(1).T  # (C, F)
    return (gradient / cells[0].numel()).flatten()
