"""Weigh classes in the loss by how rare their bought labels are."""

from __future__ import annotations

import numpy as np
from mmseg.models.losses import CrossEntropyLoss
from numpy.typing import NDArray
from torch import nn


def class_weights(counts: NDArray[np.int64], power: float) -> list[float]:
    """Compute the weight of each class from its number of labels, (C,).

    ``n_c ** -power``, scaled so that the mean over all labels is 1: the loss
    stays as large as without weights. With a power of 0 all weigh the same;
    with 1 each class has the same share of the loss. A class without a label
    counts as much as the rarest one.
    """
    bought = counts > 0
    if not bought.any():
        return [1.0] * len(counts)
    weights = np.where(bought, counts, counts[bought].min()) ** -float(power)
    return (weights * counts.sum() / (weights * counts).sum()).tolist()


def weigh_classes(model: nn.Module, weights: list[float]) -> None:
    """Set the class weights of a network's cross-entropies, in place."""
    for _, loss in _losses(model):
        loss.class_weight = weights


def check_class_balance(model: nn.Module) -> list[str]:
    """List why a network, as built, has no losses that can be balanced."""
    losses = _losses(model)
    if not losses:
        return [
            'active_learning.class_balance: wanted a head with a softmax '
            'CrossEntropyLoss, which can weigh classes; got none. Leave '
            'class_balance out'
        ]
    return [
        f'model.{name}.class_weight: not together with '
        'active_learning.class_balance, which sets it in each round; leave '
        'one of the two out'
        for name, loss in losses
        if loss.class_weight is not None
    ]


def _losses(model: nn.Module) -> list[tuple[str, CrossEntropyLoss]]:
    """List the softmax cross-entropies of a network, by name."""
    return [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, CrossEntropyLoss)
        and not module.use_sigmoid
        and not module.use_mask
    ]
