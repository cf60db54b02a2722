"""Networks that mmseg lacks, in mmseg's registries."""

from segal.models.decode_heads import DeepLabV2Head, DeepLabV3PlusHead

__all__ = ['DeepLabV2Head', 'DeepLabV3PlusHead']
