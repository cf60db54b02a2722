from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from segal.errors import ConfigError
from segal.registry import FEATURES

from .frozen import FrozenExtractor


@FEATURES.register_module()
class Backbone(FrozenExtractor):
    """Any backbone of mmcls, with weights such as those of ImageNet.

    Args:
        backbone: Its config, such as ``dict(type='ResNet', depth=18)``;
            ``'mmseg.MobileNetV2'`` is one of mmseg.
        checkpoint: See the base.
        **options: See the base.
    """

    def __init__(
        self, backbone: Mapping[str, Any], checkpoint: str, **options: Any
    ) -> None:
        super().__init__(checkpoint, **options)
        if not isinstance(backbone, Mapping) or 'type' not in backbone:
            raise ConfigError(
                'backbone: wanted the config of a backbone of mmcls, such as '
                f"dict(type='ResNet', depth=18); got {backbone!r}"
            )
        self._backbone = {
            key: value for key, value in backbone.items() if key != 'init_cfg'
        }

    @property
    def backbone(self) -> dict[str, Any]:
        """Return the config of the backbone, without its weights."""
        return dict(self._backbone)

    def build(self) -> nn.Module:
        """Build the backbone, without its weights."""
        import mmseg.models  # noqa: F401  (its scope, 'mmseg.MobileNetV2')
        from mmcls.models import BACKBONES  # half a second, with matplotlib

        return BACKBONES.build(self.backbone)
