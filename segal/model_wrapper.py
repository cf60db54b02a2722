"""Predict class probabilities for the query."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from itertools import count
from math import isfinite
from typing import Any

import numpy as np
import torch
from mmcv.parallel import DataContainer
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from segal.errors import SegALError
from segal.models.mc_dropout import DropoutPasses
from segal.seeding import key
from segal.structures import Prediction

PREDICTED = ('probs', 'samples', 'views', 'committee')
"""What of ``BaseHeuristic.needs`` a network says of a single image."""

SUPPLIES = (*PREDICTED, 'pool')
"""What of ``BaseHeuristic.needs`` a query with an mmseg model can give."""

VIEWS = tuple((s, flip) for s in (1.0, 0.75, 1.25) for flip in (False, True))
"""Scale, and whether mirrored, of each view of an image."""

TOLERANCE = 1e-2
"""How far the sum over classes may be from 1 (half precision included)."""


class ModelWrapper:
    """Turns batches of the query pipeline into class probabilities.

    Probabilities are made here and nowhere else, over the class axis, by
    mmseg's own ``inference`` (whole or slide, as ``test_cfg`` says).

    Args:
        model: An mmseg segmentor, not wrapped for parallel training.
        device: Where it lies.

    Attributes:
        committee: Other networks, asked where a heuristic wants them; each
            in eval mode, on the same device, and of the same classes.
    """

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        self.model = model
        self.device = device
        self.committee: Sequence[ModelWrapper] = ()

    @contextmanager
    def evaluating(self) -> Iterator[ModelWrapper]:
        """Put the model into eval mode without gradients, and restore it.

        Each part gets its own mode back: some may be frozen.
        """
        were_training = [x for x in self.model.modules() if x.training]
        self.model.eval()
        try:
            with torch.no_grad():
                yield self
        finally:
            for module in were_training:
                module.training = True

    def probabilities(self, batch: dict[str, Any]) -> Tensor:
        """Predict class probabilities on each image's own grid.

        Args:
            batch: mmseg test batch of images of one original size: ``img``,
                a list over augmentations of float (B, 3, h, w), and
                ``img_metas``, the same list of containers.

        Returns:
            float32 (B, C, H, W), sums to 1 over C; the mean where the query
            pipeline has several augmentations. A head with one sigmoid
            channel becomes two classes.

        Raises:
            RuntimeError: The model's output is no distribution over classes.
            SegALError: It is not finite.
        """
        total: Tensor | None = None
        views = batch['img']
        for img, metas in zip(views, batch['img_metas'], strict=True):
            probs = self.model.inference(  # type: ignore[operator]
                img.to(self.device), metas.data[0], rescale=True
            ).float()
            total = probs if total is None else total + probs
        assert total is not None
        probs = total / len(views) if len(views) > 1 else total
        if probs.shape[1] == 1:
            probs = torch.cat([1 - probs, probs], dim=1)  # (B, 2, H, W)
        off = float((probs.sum(dim=1) - 1).abs().max())
        if not isfinite(off):
            raise SegALError(
                'the network gives NaN or infinite probabilities for '
                f'{batch["img_metas"][0].data[0][0].get("filename")}: '
                'training has diverged; lower optimizer.lr, or clip gradients '
                '(optimizer_config.grad_clip), in another work_dir'
            )
        if not off < TOLERANCE:
            raise RuntimeError(
                f'{type(self.model).__name__}.inference does not give '
                'probabilities: their sum over the classes is off 1 by '
                f'{off:.3g}, for '
                f'{batch["img_metas"][0].data[0][0].get("filename")}'
            )
        return probs

    def samples(
        self, batch: dict[str, Any], index: int, *parts: object
    ) -> Generator[Tensor, None, None]:
        """Yield stochastic predictions of one image, by dropout, without end.

        Close it before the network is used for anything else.

        Args:
            batch: As for :meth:`probabilities`.
            index: Which image of it.
            parts: Key of the draws; each pass adds its number.

        Yields:
            float32 (C, H, W), sums to 1 over C.

        Raises:
            ConfigError: The network has no dropout.
        """
        one = _one_of(batch, index)
        devices = [self.device] if self.device.type == 'cuda' else []
        with DropoutPasses(self.model).open() as again:
            for number in count():
                again()
                with torch.random.fork_rng(devices), torch.no_grad():
                    torch.manual_seed(key(*parts, number) % (1 << 63))
                    probs = self.probabilities(one)[0]
                yield probs  # (C, H, W)

    def views(
        self, batch: dict[str, Any], index: int
    ) -> Generator[Tensor, None, None]:
        """Predict one image in other views, in the order of VIEWS.

        Yields:
            float32 (C, H, W) as the image lies, sums to 1 over C.
        """
        one = _one_of(batch, index)
        for scale, flip in VIEWS:
            seen: dict[str, Any] = dict(img=[], img_metas=[])
            for img, metas in zip(one['img'], one['img_metas'], strict=True):
                meta = metas.data[0][0]
                height, width = meta['img_shape'][:2]
                inside = _scaled(img[..., :height, :width], scale)
                meta = dict(meta, img_shape=(*inside.shape[2:], 3))
                whole = _scaled(img, scale).clone()  # what Pad added stays
                whole[..., : inside.shape[2], : inside.shape[3]] = (
                    inside.flip(dims=(3,)) if flip else inside
                )
                seen['img'].append(whole)
                seen['img_metas'].append(
                    DataContainer([[meta]], cpu_only=True)
                )
            with torch.no_grad():
                probs = self.probabilities(seen)[0]
            yield probs.flip(dims=(2,)) if flip else probs  # (C, H, W)

    def opinions(
        self, batch: dict[str, Any], index: int, own: Tensor | None
    ) -> Iterator[Tensor]:
        """Predict one image by this network and by its committee.

        Args:
            batch: As for :meth:`probabilities`.
            index: Which image of it.
            own: (C, H, W), this network's; None: made here.

        Yields:
            float32 (C, H, W), sums to 1 over C; this network's first.
        """
        one = _one_of(batch, index)
        if own is None:
            with torch.no_grad():
                own = self.probabilities(one)[0]
        yield own  # (C, H, W)
        for other in self.committee:
            with torch.no_grad():
                probs = other.probabilities(one)[0]
            yield probs  # (C, H, W)

    @contextmanager
    def more(
        self,
        batch: dict[str, Any],
        index: int,
        needs: Collection[str],
        prediction: Prediction,
    ) -> Iterator[Prediction]:
        """Add what a heuristic needs of the network to a prediction.

        Yields:
            The same with ``samples``, ``views`` and ``committee``, made as
            they are taken.
        """
        with ExitStack() as stack:
            if 'samples' in needs:
                samples = self.samples(batch, index, *prediction.key('mc'))
                stack.enter_context(closing(samples))
                prediction = replace(prediction, samples=samples)
            if 'views' in needs:
                views = self.views(batch, index)
                prediction = replace(prediction, views=views)
            if 'committee' in needs:
                opinions = self.opinions(batch, index, prediction.probs)
                prediction = replace(prediction, committee=opinions)
            yield prediction

    def class_map(self, batch: dict[str, Any]) -> NDArray[np.int64]:
        """Predict the likeliest class of each pixel, for evaluation.

        Args:
            batch: As for :meth:`probabilities`.

        Returns:
            int64 (B, H, W). A head with one sigmoid channel is class 1 above
            its own ``threshold``, as in mmseg.
        """
        return self.classes(self.probabilities(batch)).cpu().numpy()

    def classes(self, probs: Tensor) -> Tensor:
        """Return the likeliest class of each pixel: int64 (B, H, W)."""
        head = getattr(self.model, 'decode_head', None)
        threshold = getattr(head, 'threshold', None)
        if (
            probs.shape[1] == 2
            and getattr(head, 'out_channels', None) == 1
            and threshold is not None
        ):
            return (probs[:, 1] > threshold).long()
        return probs.argmax(dim=1)


def _scaled(img: Tensor, scale: float) -> Tensor:
    """Resize images (B, 3, h, w) by a factor, sides rounded down.

    By size: by ``scale_factor``, a rounded side would lose what is cut off.
    """
    if scale == 1:
        return img
    size = [max(1, int(side * scale)) for side in img.shape[2:]]
    return F.interpolate(img, size, mode='bilinear', align_corners=False)


def _one_of(batch: dict[str, Any], index: int) -> dict[str, Any]:
    """Copy a batch of one image with another image in it."""
    return dict(
        img=[img[index : index + 1] for img in batch['img']],
        img_metas=[
            DataContainer([[metas.data[0][index]]], cpu_only=True)
            for metas in batch['img_metas']
        ],
    )
