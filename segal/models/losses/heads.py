"""Adapt heads of mmseg that draw or derive their targets to few labels.

PointRend draws the points that its point head learns from over the whole
image, where nearly none meets a label. STDC's detail head learns where
classes meet, and takes the rim of a single label for such a border. EncNet's
head learns which classes an image is without, and fails where it shall not.

The heads are turned into these in place, so that configs and checkpoints
name mmseg's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from mmcv.ops import point_sample
from mmseg.models.decode_heads import EncHead, FCNHead, PointHead, STDCHead
from torch import Tensor, nn
from torch.nn import functional as F


class LabelledPointHead(PointHead):
    """PointRend's head, which learns from points on labelled pixels.

    On an image that is labelled throughout, they are drawn as mmseg draws
    them: uniformly, and the unsurest of those kept.
    """

    def forward_train(
        self,
        inputs: list[Tensor],
        prev_output: Tensor,
        img_metas: list[dict[str, Any]],
        gt_semantic_seg: Tensor,
        train_cfg: Any,
    ) -> dict[str, Tensor]:
        """Call mmseg's head, and keep the labels for drawing the points."""
        self._labelled = gt_semantic_seg[:, 0] != self.ignore_index
        losses: dict[str, Tensor] = super().forward_train(
            inputs, prev_output, img_metas, gt_semantic_seg, train_cfg
        )
        del self._labelled
        return losses

    def get_points_train(
        self,
        seg_logits: Tensor,
        uncertainty_func: Callable[[Tensor], Tensor],
        cfg: Any,
    ) -> Tensor:
        """Draw the points to learn from.

        From ``seg_logits``, float (B, C, h, w), of the head before: float (B,
        P, 2), x and y in [0, 1].
        """
        count = int(cfg.num_points)
        drawn = self._draw(int(count * cfg.oversample_ratio), seg_logits)
        unsure = uncertainty_func(point_sample(seg_logits, drawn))[:, 0]
        kept = unsure.topk(int(cfg.importance_sample_ratio * count)).indices
        points = drawn.gather(1, kept[..., None].expand(-1, -1, 2))
        rest = self._draw(count - points.shape[1], seg_logits)
        return torch.cat([points, rest], dim=1)

    def _draw(self, count: int, like: Tensor) -> Tensor:
        """Draw points in labelled pixels, (B, count, 2); anywhere without."""
        height, width = self._labelled.shape[1:]
        size = like.new_tensor([width, height])
        points = []
        for labelled in self._labelled:
            places = labelled.nonzero()  # (N, 2), row and column
            if not len(places):
                points.append(like.new_empty(count, 2).uniform_())
                continue
            chosen = torch.randint(len(places), (count,), device=like.device)
            corner = places[chosen].flip(1).to(like)  # x and y
            if self.align_corners:  # the corners' pixels have no outer half
                points.append(corner / (size - 1).clamp(min=1))
                continue
            inside = like.new_empty(count, 2).uniform_(0.01, 0.99)
            points.append((corner + inside) / size)
        return torch.stack(points)


class _KnownBorders(FCNHead):
    """Boundary loss of STDC, only where the boundary is known."""

    def losses(self, seg_logit: Tensor, seg_label: Tensor) -> Any:
        """Compute the losses where it is known whether classes meet."""
        seg_label = seg_label.masked_fill(self.unknown, self.ignore_index)
        return super().losses(seg_logit, seg_label)


class KnownDetailHead(STDCHead, _KnownBorders):
    """STDC's detail head, which learns only where all neighbours are known.

    mmseg derives the borders from class ids, the ignored one included: a
    single label, or the rim of a region, would be a border.
    """

    def losses(self, seg_logit: Tensor, seg_label: Tensor) -> Any:
        """Compute the losses of the detail head.

        From logits, float (B, 1 or 2, h, w), and class ids, int64 (B, 1, H,
        W).
        """
        void = (seg_label == self.ignore_index).float()
        unknown = torch.zeros_like(void)
        for stride in (1, 2, 4):  # as STDCHead looks at them
            near = F.max_pool2d(void, 3, stride, padding=1)
            unknown += F.interpolate(near, void.shape[2:], mode='nearest')
        self.unknown = unknown > 0  # (B, 1, H, W)
        losses = super().losses(seg_logit, seg_label)
        del self.unknown
        return losses


class PlainEncHead(EncHead):
    """EncNet's head, whose semantic encoding loss can be left out.

    With ``use_se_loss=False``, mmseg's own still takes its logits for a pair.
    """

    def losses(self, seg_logit: Any, seg_label: Tensor) -> Any:
        """Compute the losses, with or without that of semantic encoding."""
        if self.use_se_loss:
            return super().losses(seg_logit, seg_label)
        return super(EncHead, self).losses(seg_logit, seg_label)


_MENDED: dict[type, type[Any]] = {
    EncHead: PlainEncHead,
    PointHead: LabelledPointHead,
    STDCHead: KnownDetailHead,
}


def mend_heads(model: nn.Module) -> None:
    """Replace such heads of a network by those above, in place."""
    for module in model.modules():
        kind = _MENDED.get(type(module))
        if kind is not None:
            module.__class__ = kind
