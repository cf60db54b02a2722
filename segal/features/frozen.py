"""Extract features with a network that no round changes."""

from __future__ import annotations

import hashlib
import json
import logging
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import mmcv
import numpy as np
import torch
from mmcv.cnn.utils import revert_sync_batchnorm
from numpy.typing import NDArray
from torch import Tensor, nn

from segal.distributed import ranks
from segal.errors import ConfigError, SegALError, StateError
from segal.models.weights import load_backbone
from segal.openmmlab.built import building

from .base import BaseExtractor, Described

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)
"""Standard deviation, as the mean for RGB in 0 to 255."""

VERSION = 1
"""Increased whenever the same options give other numbers."""

_KEY = 'active_learning.features'


class FrozenExtractor(BaseExtractor):
    """A pretrained network that is run once over the pool.

    Args:
        checkpoint: Path or URL of the weights, of the backbone alone or of a
            network around it.
        size: (H, W) to which images are resized; None: their own size, or
            that of the backbone (``img_size`` of a ViT).
        mean: Mean of R, G and B, 0 to 255, for the normalisation.
        std: Standard deviation of R, G and B, the same.
        level: Index of the backbone's output; -1 is the last.
        dims: See the base.
        cache: Folder that several runs may share; None: in the work_dir.

    Raises:
        ConfigError: An argument has no meaning.
    """

    of_network: ClassVar[bool] = False

    def __init__(
        self,
        checkpoint: str,
        size: Sequence[int] | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        level: int = -1,
        dims: int | None = None,
        cache: str | None = None,
    ) -> None:
        super().__init__(dims)
        self.checkpoint = checkpoint
        self.size = _size(size)
        self.mean = _three('mean', IMAGENET_MEAN if mean is None else mean)
        self.std = _three('std', IMAGENET_STD if std is None else std)
        if min(self.std) <= 0:
            raise ConfigError(f'std: wanted numbers above 0; got {std!r}')
        self.level = level
        self.cache = cache

    @property
    @abstractmethod
    def backbone(self) -> dict[str, Any]:
        """Return the config of the backbone for its registry."""

    @abstractmethod
    def build(self) -> nn.Module:
        """Build the backbone, without its weights."""

    def forward(self, backbone: nn.Module, images: Tensor) -> Any:
        """Return the maps of the backbone for images (1, 3, h, w)."""
        return backbone(images)

    def options(self) -> dict[str, Any]:
        """List the options that decide about the features, without weights."""
        return dict(
            type=type(self).__name__,
            version=VERSION,
            backbone=self.backbone,
            size=self.size,
            mean=self.mean,
            std=self.std,
            level=self.level,
            dims=self.dims,
        )

    def open(
        self,
        device: torch.device,
        logger: logging.Logger,
        weights: bool = True,
    ) -> FrozenNetwork:
        """Build the network and load its weights.

        Without ``weights`` only the shapes of the features are right.

        Raises:
            ConfigError: The backbone cannot be built.
            StateError: Weights that are missing or do not fit.
        """
        taken = self.backbone.get('in_channels', 3)
        if taken != 3:
            raise ConfigError(
                'backbone.in_channels: wanted 3, since a frozen network sees '
                "the 8-bit RGB view of an image, as the guide's section on "
                f"images of any kind says; got {taken}. type='Segmentor' "
                "describes images by the round's own network, which sees "
                'all channels'
            )
        with building('backbone', self.backbone):
            backbone = self.build()
        if device.type != 'cuda':
            backbone = revert_sync_batchnorm(backbone)
        if weights:
            key = f'{_KEY}.checkpoint'
            try:
                load_backbone(backbone, self.checkpoint, logger, key)
            except StateError as error:
                raise StateError(f'{key}: {error}') from error
        backbone.to(device).eval()
        return FrozenNetwork(self, backbone, device)


@dataclass(frozen=True)
class FrozenNetwork:
    """A frozen extractor with its network, in eval mode on a device."""

    extractor: FrozenExtractor
    backbone: nn.Module
    device: torch.device

    def fingerprint(self) -> str:
        """Compute the fingerprint of weights and options: 32 hex digits."""
        options = json.dumps(
            self.extractor.options(), sort_keys=True, default=str
        )
        weights = ranks.state_hash(self.backbone)
        return hashlib.blake2b(
            f'{options} {weights}'.encode(), digest_size=16
        ).hexdigest()

    @torch.no_grad()
    def __call__(self, image: NDArray[np.uint8], name: str) -> Described:
        """Describe an image, uint8 (H, W, 3), RGB.

        Raises:
            ConfigError: The network does not run on it, or gives nothing that
                describes it.
            SegALError: The numbers are not finite.
        """
        entering = self._prepare(image)  # (1, 3, h, w)
        try:
            outputs = self.extractor.forward(self.backbone, entering)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            raise ConfigError(
                f'{_KEY}: {type(self.backbone).__name__} does not run on an '
                f'image of shape {tuple(entering.shape)} ({name}): '
                f'{type(error).__name__}: {error}; set size to the (H, W) '
                'that it was made for'
            ) from error
        found = self._describe(outputs)
        values = [found.embedding, found.features]
        if not all(v is None or torch.isfinite(v).all() for v in values):
            raise SegALError(
                f'{_KEY}: {type(self.backbone).__name__} gives NaN or '
                f'infinite numbers for {name}; name other weights in '
                f'{_KEY}.checkpoint, or correct mean and std'
            )
        return found

    def _prepare(self, image: NDArray[np.uint8]) -> Tensor:
        """Resize and normalise an image: float32 (1, 3, h, w)."""
        made_for = self.extractor.backbone.get('img_size')
        size = self.extractor.size or _size(
            getattr(self.backbone, 'img_size', made_for)
        )
        if size is not None and image.shape[:2] != size:
            image = mmcv.imresize(image, size[::-1])
        mean, std = self.extractor.mean, self.extractor.std
        plain = mmcv.imnormalize(
            image, np.array(mean), np.array(std), to_rgb=False
        )
        tensor = torch.from_numpy(plain).permute(2, 0, 1)[None]
        return tensor.contiguous().to(self.device)

    def _describe(self, outputs: Any) -> Described:
        """Make embedding and feature map of the backbone's output."""
        levels = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        try:
            found = levels[self.extractor.level]
        except IndexError:
            raise ConfigError(
                f'{_KEY}.level: wanted one of the {len(levels)} outputs of '
                f'{type(self.backbone).__name__}, counted from 0 or back '
                f'from -1; got {self.extractor.level}'
            ) from None
        if isinstance(found, (list, tuple)):  # a ViT's patches and class token
            found = found[0]
        if isinstance(found, Tensor) and found.ndim == 4:  # (1, F, h, w)
            return self.extractor.describe(found[0])
        if isinstance(found, Tensor) and found.ndim == 2:  # (1, D)
            return Described(found[0].detach().float())
        got = tuple(found.shape) if isinstance(found, Tensor) else type(found)
        raise ConfigError(
            f'{_KEY}: wanted a backbone that gives maps (1, F, h, w) or '
            f'vectors (1, D), got {got} from '
            f'{type(self.backbone).__name__}; name another backbone'
        )


def _size(value: Any) -> tuple[int, int] | None:
    """Read a size (H, W) from one number or two."""
    if value is None:
        return None
    both = [value, value] if isinstance(value, int) else value
    if isinstance(both, (str, Mapping)) or not isinstance(both, Sequence):
        both = []
    numbers = [x for x in both if isinstance(x, int) and x > 0]
    if len(numbers) != 2 or len(both) != 2:
        raise ConfigError(
            f'size: wanted (H, W) in pixels, or None; got {value!r}'
        )
    return numbers[0], numbers[1]


def _three(name: str, value: Any) -> tuple[float, float, float]:
    """Read three numbers, for R, G and B."""
    try:
        red, green, blue = map(float, value)
    except (TypeError, ValueError):
        raise ConfigError(
            f'{name}: wanted three numbers, of R, G and B in 0 to 255; got '
            f'{value!r}'
        ) from None
    return red, green, blue
