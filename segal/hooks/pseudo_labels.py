"""Train on pseudo-labels of an averaged teacher, where nothing was asked."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from mmcv.parallel import DataContainer
from mmcv.runner import HOOKS, EpochBasedRunner, Hook
from mmseg.models.decode_heads import IterativeDecodeHead, PointHead
from mmseg.ops import resize
from torch import Tensor, nn
from torch.nn import functional as F

from segal.active.dataset.active_dataset import UNASKED
from segal.distributed import ranks
from segal.hooks.averaging import BESIDE
from segal.model_wrapper import ModelWrapper
from segal.runner.inner import unwrapped

WEAK = 'img_weak'
"""Key of the teacher's view of the image, where the pipeline makes one."""


def sure_classes(
    probs: Tensor, free: Tensor, threshold: float, ignore_index: int = 255
) -> Tensor:
    """Choose the pseudo-labels: classes that the teacher is sure of.

    From ``probs``, float (B, C, h, w), and the pixels that may get a label,
    bool (B, h, w): int64 (B, h, w), ``ignore_index`` where the probability is
    below ``threshold``.
    """
    sureness, classes = probs.max(dim=1)  # (B, h, w)
    taken = free & (sureness >= threshold)
    return classes.masked_fill(~taken, ignore_index)


def pseudo_loss(
    logits: Tensor, targets: Tensor, count: int, ignore_index: int = 255
) -> Tensor:
    """Compute the cross-entropy on pixels with a pseudo-label.

    The sum over these pixels is divided by ``count``, the number of all pixels
    that might have had one, so few sure pixels weigh little. From logits (B,
    C, h, w) and targets (B, h, w): a scalar; 0 where no pixel has one.

    Source: Sohn et al., FixMatch, NeurIPS 2020, eq. 4.
    """
    total = F.cross_entropy(
        logits.float(), targets, ignore_index=ignore_index, reduction='sum'
    )
    return total / max(count, 1)


@HOOKS.register_module()
class PseudoLabelHook(Hook):
    """Add a loss on pseudo-labels of the averaged network to the decode head.

    Before an iteration the network has averaged weights (see
    :class:`~segal.hooks.averaging.AveragingHook`). In eval mode it is the
    teacher: it predicts the batch, in the trained view, or in the weak view
    that the pipeline keeps (``KeepWeakView``). Where its likeliest class
    reaches ``threshold`` on a pixel that was not asked, the head's ``losses``
    get ``loss_pseudo``. Bought labels, void answers and padding get none.
    The classes of the network are not changed. All ranks have one teacher,
    with rank 0's statistics of batch norm.

    Costs one more forward pass an iteration once it has begun.

    Args:
        threshold: Least probability of a class, in [0, 1].
        weight: Of this loss.
        begin: Share of the phase without this loss, in [0, 1).
        length: Of the phase, in epochs (by iteration: iterations).
        ignore_index: Class id of pixels without a label.
    """

    def __init__(
        self,
        threshold: float,
        weight: float,
        begin: float,
        length: int,
        ignore_index: int = 255,
    ) -> None:
        self.threshold = threshold
        self.weight = weight
        self.begin = begin
        self.length = length
        self.ignore_index = ignore_index
        self.targets: Tensor | None = None
        self.free = 0
        self._before: Any = None

    def before_run(self, runner: Any) -> None:
        """Wrap the losses of the decode head."""
        head = teachable_head(unwrapped(runner.model))
        assert head is not None
        # another hook may have wrapped it
        self._before = vars(head).get('losses')
        vars(head)['losses'] = self._with_pseudo(head)

    def after_run(self, runner: Any) -> None:
        """Restore the losses of the decode head."""
        head = teachable_head(unwrapped(runner.model))
        del vars(head)['losses']
        if self._before is not None:
            vars(head)['losses'] = self._before

    def before_train_iter(self, runner: Any) -> None:
        """Predict the batch with the teacher, and keep the pseudo-labels."""
        batch = runner.data_batch
        unasked = _content(batch.pop(UNASKED))
        weak = batch.pop(WEAK, None)
        if runner.iter - runner.context.first_iter < self._wait(runner):
            return
        model = unwrapped(runner.model)
        for name, part in model.named_children():
            if name != BESIDE:  # the trained weights are the same already
                ranks.sync_buffers(part)
        device = next(model.parameters()).device
        seen = _content(batch['img'] if weak is None else weak)
        labels = _content(batch['gt_semantic_seg'])
        free = (unasked == 0) & (labels == self.ignore_index)
        free = free[:, 0].to(device)  # (B, h, w)
        with ModelWrapper(model, device).evaluating() as teacher:
            logits = teacher.model.encode_decode(  # type: ignore[operator]
                seen.to(device), _content(batch['img_metas'])
            )  # (B, C, h, w)
        probs = logits.float().softmax(dim=1)
        self.free = int(free.sum())
        self.targets = sure_classes(
            probs, free, self.threshold, self.ignore_index
        )

    def after_train_iter(self, runner: Any) -> None:
        """Drop the pseudo-labels of the batch."""
        self.targets = None

    def _wait(self, runner: Any) -> int:
        """Return how many iterations of the phase have no such loss."""
        an_epoch = 1
        if isinstance(runner, EpochBasedRunner):
            an_epoch = len(runner.data_loader)
        return math.ceil(round(self.begin * self.length * an_epoch, 6))

    def _with_pseudo(self, head: Any) -> Callable[[Any, Tensor], Any]:
        """Return the losses of a head, with ``loss_pseudo``."""
        own = head.losses

        def losses(seg_logit: Any, seg_label: Tensor) -> Any:
            found = own(seg_logit, seg_label)
            if self.targets is None:
                return found
            logits = resize(
                _predicting(head, seg_logit),
                size=self.targets.shape[1:],
                mode='bilinear',
                align_corners=head.align_corners,
            )  # (B, C, h, w)
            loss = pseudo_loss(
                logits, self.targets, self.free, self.ignore_index
            )
            taken = (self.targets != self.ignore_index).sum()
            found['loss_pseudo'] = self.weight * loss
            found['pseudo_share'] = taken / max(self.free, 1)
            return found

        return losses


def teachable_head(model: nn.Module) -> Any:
    """Find the head that predicts every pixel, the last one of a cascade.

    None where no head has a channel for each class.
    """
    found: Any = getattr(model, 'decode_head', None)
    heads = list(found) if isinstance(found, nn.ModuleList) else [found]
    for head in reversed(heads):
        if isinstance(head, PointHead) or not hasattr(head, 'losses'):
            continue
        return head if getattr(head, 'out_channels', 0) > 1 else None
    return None


def _predicting(head: Any, seg_logit: Any) -> Tensor:
    """Choose the logits that a head predicts with, of several."""
    if not isinstance(seg_logit, (list, tuple)):
        return seg_logit  # type: ignore[no-any-return]
    last = isinstance(head, IterativeDecodeHead)  # its stages, in order
    return seg_logit[-1 if last else 0]  # type: ignore[no-any-return]


def _content(value: Any) -> Any:
    """Return the content of a container for one device."""
    return value.data[0] if isinstance(value, DataContainer) else value
