"""Compute the loss of a batch of two domains as the mean over each.

A source is labelled throughout, the pool in a few pixels an image: in one
mean over all labelled pixels, 40 bought ones count for nothing beside the
900,000 of each source image.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from segal.active.dataset.active_dataset import FROM_SOURCE


def weigh_domains(model: nn.Module, weight: float) -> None:
    """Make the heads of a network average each domain apart, in place.

    The loss is then mean over the pool's labelled pixels + ``weight`` x mean
    over the sources'. Predictions, and names and shapes of weights, do not
    change.

    Source: the supervised losses of Xie et al., Towards Fewer Annotations,
    CVPR 2022, are added like this, with a weight of 1.
    """
    network: Any = model
    domains = _Domains(weight)
    for head in network.modules():
        if callable(getattr(head, 'losses', None)):
            head.losses = partial(domains.losses, head)
    network.forward_train = partial(domains.told, network)


class _Domains:
    """Record which images of the current batch are of a source.

    Methods are looked up in the class when they are called, since
    ``speed_up`` puts its own in front of them later.
    """

    def __init__(self, weight: float) -> None:
        self.weight = weight
        self._from_source: list[bool] | None = None

    def told(
        self,
        network: Any,
        img: Tensor,
        img_metas: Sequence[dict[str, Any]],
        *args: Any,
        **kwargs: Any,
    ) -> dict[str, Tensor]:
        """Compute the losses of a batch, each domain apart."""
        self._from_source = [bool(meta[FROM_SOURCE]) for meta in img_metas]
        try:
            found: dict[str, Tensor] = type(network).forward_train(
                network, img, img_metas, *args, **kwargs
            )
            return found
        finally:
            self._from_source = None

    def losses(
        self,
        head: Any,
        seg_logit: Any,
        seg_label: Tensor,
    ) -> dict[str, Tensor]:
        """Sum a head's losses over the domains; average its other values."""
        losses = partial(type(head).losses, head)
        flags = self._from_source
        if flags is None:  # an inner head, whose batch is split already
            inner: dict[str, Tensor] = losses(seg_logit, seg_label)
            return inner
        self._from_source = None
        try:
            total: dict[str, Tensor] = {}
            for source in (False, True):
                rows = [i for i, flag in enumerate(flags) if flag is source]
                if not rows:
                    continue
                at = torch.tensor(rows, device=seg_label.device)
                share = len(rows) / len(flags)
                factor = self.weight if source else 1.0
                part = losses(_rows(seg_logit, at), seg_label[at])
                for name, value in part.items():
                    value = value * (factor if 'loss' in name else share)
                    total[name] = total.get(name, 0) + value
            return total
        finally:
            self._from_source = flags


def _rows(value: Any, at: Tensor) -> Any:
    """Select some images of a head's output."""
    if isinstance(value, Tensor):
        return value[at]
    if isinstance(value, tuple | list):
        return type(value)(_rows(part, at) for part in value)
    return value
