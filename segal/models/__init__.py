"""Networks that mmseg lacks, in mmseg's registries."""

from segal.models.decode_heads import DeepLabV3PlusHead

__all__ = ['DeepLabV3PlusHead']
