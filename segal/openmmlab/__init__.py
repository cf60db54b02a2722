"""Read what mmcv's and mmseg's configs and checkpoints hold."""
