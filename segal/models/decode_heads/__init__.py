"""Register decode heads that mmseg lacks."""

from segal.models.decode_heads.deeplabv2_head import DeepLabV2Head
from segal.models.decode_heads.deeplabv3plus_head import DeepLabV3PlusHead

__all__ = ['DeepLabV2Head', 'DeepLabV3PlusHead']
