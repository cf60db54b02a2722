"""Find losses that teach nothing where a head has a single channel.

Softmax over one channel is always 1, whatever the logit is: the loss of such
a head is constant, and every pixel stays class 0. A single channel is right
with a sigmoid, which makes two classes of it.
"""

from __future__ import annotations

from typing import Any

import torch
from mmseg.models.decode_heads import STDCHead
from torch import Tensor, nn


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
