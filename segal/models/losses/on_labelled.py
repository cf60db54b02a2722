"""Average mmseg's losses over labelled pixels only.

mmseg wrote them for images that are labelled throughout. Where ten pixels
are, Dice counts the unlabelled rest as the last class, Focal divides by it,
Lovasz fails on one label or none, and a head with one channel fails on none.
"""

from __future__ import annotations

from typing import Any

import torch
from mmseg.models.decode_heads import STDCHead
from mmseg.models.losses import (
    CrossEntropyLoss,
    DiceLoss,
    FocalLoss,
    LovaszLoss,
    TverskyLoss,
)
from torch import Tensor, nn

from segal.models.losses.heads import mend_heads


class OnLabelled(nn.Module):
    """Wrapper of a loss of mmseg's that shows it the labelled pixels only.

    Where every pixel is labelled, it is the loss as mmseg wrote it. Where none
    is, it is 0. A loss that is a mean over images (``per_image``) is one over
    those with a label.
    """

    def __init__(self, loss: nn.Module, per_image: bool) -> None:
        super().__init__()
        self.loss = loss
        self.per_image = per_image

    @property
    def loss_name(self) -> str:
        """The loss's name in the log."""
        name: str = self.loss.loss_name  # type: ignore[assignment]
        return name

    def forward(
        self,
        pred: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        ignore_index: int = 255,
        **kwargs: Any,
    ) -> Tensor:
        """Compute the loss of a batch.

        From logits (B, C, ...), class ids and weights (B, ...): a scalar; the
        loss of each pixel, over the whole batch, where
        ``reduction_override='none'`` asks for it (OHEM's sampler).
        """
        if kwargs.get('reduction_override') == 'none':
            return self.loss(  # type: ignore[no-any-return]
                pred,
                target,
                weight=weight,
                ignore_index=ignore_index,
                **kwargs,
            )
        labelled = target != ignore_index  # (B, ...)
        if not bool(labelled.any()):
            return pred[:0].sum()  # 0, with a gradient of zeros
        none = isinstance(self.loss, LovaszLoss)
        kwargs['ignore_index'] = None if none else ignore_index
        every = range(len(target))
        groups = [[i] for i in every] if self.per_image else [list(every)]
        losses = []
        for group in groups:
            seen = labelled[group]
            if not bool(seen.any()):
                continue
            logits = pred[group].movedim(1, -1)[seen].T  # (C, N)
            losses.append(
                self.loss(
                    logits[None, :, :, None],  # (1, C, N, 1)
                    target[group][seen][None, :, None],  # (1, N, 1)
                    weight=None
                    if weight is None
                    else weight[group][seen][None, :, None],
                    **kwargs,
                ).mean()
            )
        together = torch.stack(losses)
        summed = getattr(self.loss, 'reduction', 'mean') == 'sum'
        return together.sum() if summed else together.mean()


def _mended(loss: nn.Module) -> nn.Module:
    """Wrap a loss that is wrong with few labels; return others unchanged."""
    if isinstance(loss, CrossEntropyLoss):
        right = loss.reduction != 'none' and not loss.use_sigmoid
        return loss if right else OnLabelled(loss, per_image=False)
    if isinstance(loss, DiceLoss | TverskyLoss):
        return OnLabelled(loss, per_image=True)
    if isinstance(loss, LovaszLoss):
        return OnLabelled(loss, per_image=loss.per_image)
    if isinstance(loss, FocalLoss):
        return OnLabelled(loss, per_image=False)
    return loss


def mend(model: nn.Module) -> None:
    """Make the heads of a network learn from labelled pixels only, in place.

    Names and shapes of its weights stay as they are.
    """
    mend_heads(model)
    for head in list(model.modules()):
        losses = vars(head).get('_modules', {}).get('loss_decode')
        if isinstance(losses, nn.ModuleList):
            for index, loss in enumerate(losses):
                losses[index] = _mended(loss)
        elif losses is not None:
            head.loss_decode = _mended(losses)


def check_losses(model: nn.Module) -> list[str]:
    """Check that each loss of a network works with a few labels.

    Returns a problem for each loss that raises, or is not finite, where one
    pixel is labelled or none is, or has weights of other classes, and for each
    sampler that fails.
    """
    problems = []
    for where, head in model.named_modules():
        losses = getattr(head, 'loss_decode', None)
        if losses is None or not hasattr(head, 'out_channels'):
            continue
        several = isinstance(losses, nn.ModuleList)
        for index, loss in enumerate(losses if several else [losses]):
            key = f'model.{where}.loss_decode' + f'.{index}' * several
            said = (
                one_channel_fault(loss, head)
                or _fault(loss, head)
                or _weights_fault(loss, head)
            )
            if said:
                problems.append(f'{key}: {said}')
        said = _sampler_fault(head)
        if said:
            problems.append(f'model.{where}.sampler: {said}')
    return problems


def _made_up(head: Any) -> tuple[Tensor, Tensor]:
    """Make logits (2, C, 32, 32), and labels (2, 32, 32) with a single one.

    It is of class 1, which is the channel of a head that has but one.
    """
    draw = torch.Generator().manual_seed(0)
    pred = torch.randn(2, head.out_channels, 32, 32, generator=draw)
    few = torch.full((2, 32, 32), head.ignore_index)
    few[0, 3, 4] = 1
    return pred, few


def _sampler_fault(head: Any) -> str | None:
    """Say what is wrong with a hard pixel sampler; None where it is fine."""
    sampler = getattr(head, 'sampler', None)
    if sampler is None:
        return None
    pred, few = _made_up(head)
    try:
        sampler.sample(pred, few[:, None])
    except Exception as error:
        return (
            f'{type(sampler).__name__} fails with the losses of its head '
            f'({type(error).__name__}: {error}); set its thresh, such as '
            '0.7, or leave it out'
        )
    return None


def _fault(loss: nn.Module, head: Any) -> str | None:
    """Say what is wrong with a loss on few labels; None where it is fine."""
    pred, few = _made_up(head)
    none = torch.full_like(few, head.ignore_index)
    inner = loss.loss if isinstance(loss, OnLabelled) else loss
    name = type(inner).__name__
    for target, amount in ((few, 'one label'), (none, 'no label')):
        try:
            value = loss(
                pred, target, weight=None, ignore_index=head.ignore_index
            )
        except Exception as error:
            return (
                f'{name} fails on a batch with {amount} '
                f'({type(error).__name__}: {error}); correct it, or choose '
                "dict(type='CrossEntropyLoss')"
            )
        if not bool(torch.isfinite(value).all()) or not value.numel():
            return (
                f'{name} is not finite on a batch with {amount}; correct it, '
                "or choose dict(type='CrossEntropyLoss')"
            )
    return None


def _weights_fault(loss: nn.Module, head: Any) -> str | None:
    """Say that a loss of mmseg's has more or fewer weights than classes.

    Some take the first ones of more, and fail on a class without one when it
    is first seen.
    """
    inner = loss.loss if isinstance(loss, OnLabelled) else None
    weights: Any = getattr(inner, 'class_weight', None)
    count = head.out_channels
    if weights is None or count == 1 or len(weights) == count:
        return None
    return (
        f'{type(inner).__name__}: wanted a class_weight of {count} numbers; '
        f'got {len(weights)}. Write one for each class, or None'
    )


def one_channel_fault(loss: nn.Module, head: Any) -> str | None:
    """Say why a loss cannot teach a head with one channel.

    None where the loss has a gradient, the head has several channels, or is
    STDC's, which learns borders in place of classes.
    """
    if head.out_channels != 1 or isinstance(head, STDCHead):
        return None
    name = type(getattr(loss, 'loss', loss)).__name__
    if any(_teaches(loss, head, label) for label in (0, 1)):
        return None
    return (
        f'{name} has no gradient on the single channel of this head, since '
        'softmax over one channel is always 1: everything would be class 0. '
        'With two classes, write num_classes=2 without out_channels; or keep '
        "one channel with dict(type='CrossEntropyLoss', use_sigmoid=True)"
    )


def _teaches(loss: nn.Module, head: Any, label: int) -> bool:
    """Check that a loss has a gradient on made-up logits and labels."""
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 1, 8, 8, generator=draw).requires_grad_()
    labels = torch.full((2, 8, 8), head.ignore_index)
    labels[:, 2:6, 2:6] = label
    try:
        with torch.enable_grad():
            value: Tensor = loss(
                logits, labels, weight=None, ignore_index=head.ignore_index
            ).sum()
            if not value.requires_grad:
                return False
            (found,) = torch.autograd.grad(value, logits, allow_unused=True)
    except Exception:
        return False  # such as a label 1 where there is one channel
    return found is not None and bool(found.abs().max() > 0)
