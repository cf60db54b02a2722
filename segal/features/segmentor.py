from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from segal.errors import ConfigError
from segal.registry import FEATURES
from segal.structures import Prediction

from .base import KINDS, BaseExtractor


@FEATURES.register_module()
class Segmentor(BaseExtractor):
    """The map that enters the last layer of the round's own network.

    It changes with each round, so nothing is cached; before the first round
    there is none.

    Args:
        dims: See the base.
    """

    of_network: ClassVar[bool] = True


class Tap:
    """Record the input of the last classifier layer of a segmentor.

    It is the last layer of the decode head with as many outputs as the head:
    ``conv_seg`` in nearly all of mmseg.

    Raises:
        ConfigError: The model has no decode head.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        heads: Any = getattr(model, 'decode_head', None)
        if heads is None:
            raise ConfigError(
                'active_learning.features: Segmentor wants a network with a '
                f'decode_head, got {type(model).__name__} without one; use '
                'MMSelfSup or Backbone'
            )
        self.heads: list[Any] = (
            list(heads) if isinstance(heads, nn.ModuleList) else [heads]
        )
        self._seen: Tensor | None = None

    @contextmanager
    def open(self) -> Iterator[Tap]:
        """Record inside this block."""
        handles = [
            layer.register_forward_pre_hook(self._see)
            for head in self.heads
            for layer in head.modules()
            if isinstance(layer, nn.Conv2d)
            and layer.out_channels == _outputs(head)
        ]
        try:
            yield self
        finally:
            self._seen = None
            for handle in handles:
                handle.remove()

    def _see(self, layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        self._seen = inputs[0].detach()

    def take(self, batch: dict[str, Any], device: torch.device) -> Tensor:
        """Return the map (B, F, h, w) of the batch that was just predicted.

        What ``Pad`` added to the images is cut off. With sliding windows
        (``slide``) or test time augmentation, the network runs once more on
        the whole of the first view without a flip.

        Raises:
            ConfigError: No such layer was run.
        """
        flips = [
            bool(metas.data[0][0].get('flip')) for metas in batch['img_metas']
        ]
        mode = getattr(self.model, 'test_cfg', {}).get('mode', 'whole')
        view = flips.index(False) if False in flips else 0
        if mode != 'whole' or len(flips) > 1 or flips[0]:
            self._seen = None
            self.model.encode_decode(  # type: ignore[operator]
                batch['img'][view].to(device), batch['img_metas'][view].data[0]
            )
        seen, self._seen = self._seen, None
        if seen is None or seen.ndim != 4:
            raise ConfigError(
                'active_learning.features: Segmentor wants a decode head '
                'that ends with a layer from a map of features to its '
                f'{_outputs(self.heads[-1])} classes; '
                f'{type(self.heads[-1]).__name__} has none; use MMSelfSup or '
                'Backbone'
            )
        size = batch['img'][view].shape[2:]
        image = batch['img_metas'][view].data[0][0]['img_shape'][:2]
        height, width = (
            max(1, round(cells * inside / whole))
            for cells, inside, whole in zip(
                seen.shape[2:], image, size, strict=True
            )
        )
        return seen[..., :height, :width].float()


@dataclass
class NetworkFeatures:
    """Features of the batch that the round's network has just predicted."""

    tap: Tap
    extractor: BaseExtractor
    device: torch.device
    needs: Collection[str]
    _maps: Tensor | None = None

    def take(self, batch: dict[str, Any]) -> None:
        """Record the maps of a batch, right after it was predicted."""
        self._maps = self.tap.take(batch, self.device)  # (B, F, h, w)

    def add(self, prediction: Prediction, index: int) -> Prediction:
        """Add the features of an image of the batch to its prediction."""
        assert self._maps is not None
        described = self.extractor.describe(self._maps[index])
        kinds = [kind for kind in KINDS if kind in self.needs]
        found = {kind: getattr(described, kind) for kind in kinds}
        return replace(prediction, **found)


def _outputs(head: Any) -> int:
    """Count the channels of a head's output."""
    return int(getattr(head, 'out_channels', None) or head.num_classes)
