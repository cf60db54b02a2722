# ResNet-18 at a quarter of its width with a feature pyramid, from scratch:
# 0.7 M parameters, which train on a CPU.
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    type='EncoderDecoder',
    backbone=dict(
        type='ResNetV1d',
        depth=18,
        stem_channels=16,
        base_channels=16,
        norm_cfg=norm_cfg,
    ),
    neck=dict(
        type='FPN', in_channels=[16, 32, 64, 128], out_channels=32, num_outs=4
    ),
    decode_head=dict(
        type='FPNHead',
        in_channels=[32, 32, 32, 32],
        in_index=[0, 1, 2, 3],
        feature_strides=[4, 8, 16, 32],
        channels=32,
        num_classes=8,
        dropout_ratio=0.1,
        norm_cfg=norm_cfg,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
