"""Evaluate the losses of decode heads at labelled pixels only.

mmseg upsamples the logits of each head to the size of the label map, and
evaluates every loss there. With ten labels in 360x480, 99.99 per cent of that
is thrown away. A head turned into :class:`AtLabels` samples its logits at the
labelled pixels, and hands mmseg's own ``losses`` those.
"""

from __future__ import annotations

import functools
from typing import Any, Literal

import torch
from mmcv.runner import force_fp32
from mmseg.core import OHEMPixelSampler
from mmseg.models.decode_heads import IterativeDecodeHead, PointHead
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.losses import CrossEntropyLoss
from torch import Tensor, nn

from segal.models.losses.on_labelled import OnLabelled

SPARSE = 1 / 16
"""With ``'auto'``, batches with at most this share of labelled pixels are.

Sampling saves time up to about a quarter of them, and costs several times as
much as whole maps where all are labelled.
"""


class AtLabels(BaseDecodeHead):
    """Mixin of a decode head: the same losses, at labelled pixels only.

    It stands between a head's class and ``BaseDecodeHead``. What a head with
    losses of its own (DANet, STDC) hands on to mmseg's, is sampled as well.

    Losses, gradients and accuracy are those of the whole map but for the
    order in which they are added up.

    Attributes:
        densest: The share of labelled pixels up to which a batch is sampled;
            above it, the whole map is evaluated as ever.
    """

    densest: float = 1.0

    @force_fp32(apply_to=('seg_logit',))
    def losses(self, seg_logit: Tensor, seg_label: Tensor) -> dict[str, Any]:
        """Compute the losses of a batch, and its accuracy, as mmseg does.

        From logits, float (B, C, h, w), and class ids, int64 (B, 1, H, W).
        """
        labelled = seg_label[:, 0] != self.ignore_index  # (B, H, W)
        if int(labelled.sum()) <= self.densest * labelled.numel():
            seg_logit, seg_label = _at(
                seg_logit,
                seg_label,
                labelled,
                self.ignore_index,
                self.align_corners,
            )
        losses: dict[str, Any] = super().losses(seg_logit, seg_label)
        return losses


def _at(
    logits: Tensor,
    labels: Tensor,
    labelled: Tensor,
    ignore_index: int,
    align_corners: bool,
) -> tuple[Tensor, Tensor]:
    """Gather the labelled pixels of a batch, one column for each image.

    Images stay apart, since some losses are means over images, and OHEM keeps
    so many pixels for each. Returns logits, float (B, C, N, 1), and class ids,
    int64 (B, 1, N, 1), for the N labels of the image with most, and 1 at
    least; ``ignore_index`` fills up the others.
    """
    image, row, column = labelled.nonzero(as_tuple=True)  # (M,) each
    counts = torch.bincount(image, minlength=len(labels))  # (B,)
    before = counts.cumsum(0) - counts
    slot = torch.arange(len(image), device=image.device) - before[image]
    most = max(int(counts.max()), 1)
    height, width = labels.shape[2:]
    values = upsampled_at(
        logits, image, row, column, (height, width), align_corners
    )  # (M, C)
    some = values.new_zeros(len(labels), most, logits.shape[1])
    some = some.index_put((image, slot), values)  # (B, N, C)
    classes = labels.new_full((len(labels), most), ignore_index)
    classes[image, slot] = labels[image, 0, row, column]
    return some.transpose(1, 2)[..., None], classes[:, None, :, None]


@functools.cache
def _at_labels(kind: type[BaseDecodeHead]) -> type[BaseDecodeHead]:
    """Make the :class:`AtLabels` class of a head, with the same name."""
    body = dict(__module__=kind.__module__, __doc__=kind.__doc__)
    return type(kind.__name__, (kind, AtLabels), body)


def sample_losses(
    model: nn.Module, when: Literal['auto', True, False]
) -> None:
    """Make the heads of a network evaluate losses at labels only, in place.

    Always, if ``when`` is True; with ``'auto'`` where few pixels of a batch
    are labelled. Heads of :func:`whole_maps` are not changed.
    """
    if not when:
        return
    for module in list(model.modules()):
        if _has_losses(module) and not _is_sampled(module):
            head: Any = module
            if _why(head) is None:
                head.__class__ = _at_labels(head.__class__)
                head.densest = 1.0 if when is True else SPARSE


def check_sampled(
    model: nn.Module, when: Literal['auto', True, False]
) -> list[str]:
    """Check that every head can evaluate its losses at labels only.

    With ``'auto'``, those that cannot need not. Returns problems.
    """
    if when is not True:
        return []
    key = 'active_learning.loss_at_labels'
    problems = [
        f"{key}: wanted 'auto' or False, since {where} needs the whole map "
        f'({why}); got True'
        for where, why in whole_maps(model).items()
    ]
    if not problems and not any(map(_is_sampled, model.modules())):
        problems.append(
            f"{key}: wanted 'auto' or False, since no head of the model has "
            "its losses from mmseg's BaseDecodeHead; got True"
        )
    return problems


def describe(model: nn.Module) -> str:
    """Describe where the losses of each head are evaluated, for the log."""
    sampled = [
        f'model.{name}'
        for name, head in model.named_modules()
        if _is_sampled(head)
    ]
    said = [
        'losses are evaluated at labelled pixels alone, without upsampling, '
        f'in {", ".join(sampled) or "no head"}'
    ]
    said += [
        f'on whole maps for {where} ({why})'
        for where, why in whole_maps(model).items()
    ]
    return '; '.join(said)


def whole_maps(model: nn.Module) -> dict[str, str]:
    """List the heads whose losses need whole maps: dotted key -> reason."""
    found = {}
    for name, head in model.named_modules():
        if _has_losses(head) and (why := _why(head)):
            found[f'model.{name}.{why[0]}'] = why[1]
    return found


def _is_sampled(head: nn.Module) -> bool:
    return isinstance(head, AtLabels)


def _has_losses(head: nn.Module) -> bool:
    """Check that mmseg's ``losses`` may evaluate a part of a head's output.

    PointRend's head learns at points already, and K-Net's has its losses
    from the heads inside it.
    """
    return isinstance(head, BaseDecodeHead) and not isinstance(
        head, IterativeDecodeHead | PointHead
    )


def _why(head: Any) -> tuple[str, str] | None:
    """Name the loss of a head that needs whole maps, with the reason."""
    if head.sampler is not None and type(head.sampler) is not OHEMPixelSampler:
        name = type(head.sampler).__name__
        return 'sampler', f'{name} may look at unlabelled pixels'
    losses = head.loss_decode
    several = isinstance(losses, nn.ModuleList)
    for index, loss in enumerate(losses if several else [losses]):
        if not _counts_labels(loss):
            key = 'loss_decode' + f'.{index}' * several
            return key, f'{type(loss).__name__} may look at unlabelled pixels'
    return None


def _counts_labels(loss: Any) -> bool:
    """Check that a loss is the same with and without unlabelled pixels."""
    if isinstance(loss, OnLabelled):
        return True
    return type(loss) is CrossEntropyLoss and (
        loss.avg_non_ignore or loss.reduction == 'sum'
    )


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
