"""Register networks that mmseg lacks."""

import segal.registry  # noqa: F401  (lets a user's class win a name)
from segal.models.decode_heads import DeepLabV2Head, DeepLabV3PlusHead

__all__ = ['DeepLabV2Head', 'DeepLabV3PlusHead']
