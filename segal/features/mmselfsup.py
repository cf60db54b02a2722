from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import mmseg.models  # noqa: F401  ('mmseg.ResNetV1c' is found by its scope)
from mmcv import Config
from torch import Tensor, nn

from segal.errors import ConfigError
from segal.openmmlab.bases import package_config
from segal.registry import FEATURES

from .frozen import FrozenExtractor

_MASKED = ('CAEViT', 'MAEViT', 'MaskFeatViT', 'SimMIMSwinTransformer')
"""Backbones that mask a part of the image; their mmcls base classes do not."""


@FEATURES.register_module()
class MMSelfSup(FrozenExtractor):
    """The backbone of any algorithm of MMSelfSup.

    The features are the backbone's map, before neck and head. Backbones that
    were trained on masked images see whole images here.

    Args:
        config: A config of MMSelfSup: a path, or its place among those that
            came with the package, such as
            ``'simsiam/simsiam_resnet50_8xb32-coslr-100e_in1k.py'``.
        checkpoint: See the base.
        mean: Of R, G and B in 0 to 255; None: that of the config's Normalize.
        std: Standard deviation, as ``mean``.
        **options: See the base.
    """

    def __init__(
        self,
        config: str,
        checkpoint: str,
        mean: Any = None,
        std: Any = None,
        **options: Any,
    ) -> None:
        self.config = _read(config)
        written = _normalize(self.config)
        super().__init__(
            checkpoint,
            mean=written.get('mean') if mean is None else mean,
            std=written.get('std') if std is None else std,
            **options,
        )

    @property
    def backbone(self) -> dict[str, Any]:
        """Return the config of the backbone, without its weights."""
        backbone = self.config.model.backbone.to_dict()
        backbone.pop('init_cfg', None)
        return backbone

    @property
    def with_sobel(self) -> bool:
        """Check whether the backbone sees edges, not colours."""
        return bool(self.config.model.get('with_sobel', False))

    def options(self) -> dict[str, Any]:
        """List the options that decide about the features, without weights."""
        return dict(super().options(), with_sobel=self.with_sobel)

    def build(self) -> nn.Module:
        """Build the backbone, without its weights."""
        models = importlib.import_module('mmselfsup.models')
        return models.BACKBONES.build(self.backbone)

    @cached_property
    def _sobel(self) -> nn.Module:
        utils = importlib.import_module('mmselfsup.models.utils')
        return utils.Sobel()

    def forward(self, backbone: nn.Module, images: Tensor) -> Any:
        """Return the maps of the backbone for whole images."""
        if self.with_sobel:
            images = self._sobel.to(images.device)(images)  # (1, 2, h, w)
        for kind in type(backbone).__mro__:
            if kind.__name__ not in _MASKED and 'forward' in vars(kind):
                return kind.forward(backbone, images)  # type: ignore
        raise AssertionError('a backbone has a forward')


def _read(name: str) -> Config:
    """Load a config of the user's, or of the installed package."""
    path = Path(str(name)).expanduser()
    if not path.is_file():
        path = Path(
            package_config('mmselfsup', str(name), 'config', ('', 'selfsup'))
        )
    try:
        config = Config.fromfile(str(path))
    except Exception as error:
        raise ConfigError(
            f'config: {path} cannot be read as a config '
            f'({type(error).__name__}: {error}); correct it'
        ) from error
    model = config.get('model')
    backbone = model.get('backbone') if isinstance(model, Mapping) else None
    if not isinstance(backbone, Mapping) or 'type' not in backbone:
        raise ConfigError(
            f'config: wanted a config of MMSelfSup, with model.backbone; got '
            f'{path} without it'
        )
    return config


def _normalize(config: Config) -> dict[str, list[float]]:
    """Read mean and std of a config's first Normalize, of 0 to 255."""
    for step in _dicts(config.get('data')):
        if step.get('type') == 'Normalize' and {'mean', 'std'} <= step.keys():
            return {
                name: [255 * float(number) for number in step[name]]
                for name in ('mean', 'std')
            }
    return {}


def _dicts(part: Any) -> Iterator[Mapping[str, Any]]:
    """List every dict in a part of a config, in its order."""
    if isinstance(part, Mapping):
        yield part
    if isinstance(part, (Mapping, list, tuple)):
        inside = part.values() if isinstance(part, Mapping) else part
        for value in inside:
            yield from _dicts(value)
