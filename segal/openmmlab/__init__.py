"""Read configs and checkpoints of mmcv and mmseg."""
