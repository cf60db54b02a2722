# MobileNetV2-DeepLabV3+ at output stride 16, 5.81 M parameters: the network
# of PixelPick's CamVid experiment.
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    type='EncoderDecoder',
    pretrained=None,
    backbone=dict(
        type='MobileNetV2',
        widen_factor=1.0,
        strides=(1, 2, 2, 2, 1, 1, 1),
        dilations=(1, 1, 1, 1, 1, 1, 2),
        out_indices=(1, 6),
        norm_cfg=norm_cfg,
    ),
    decode_head=dict(
        type='DeepLabV3PlusHead',
        in_channels=320,
        in_index=1,
        channels=256,
        dilations=(1, 6, 12, 18),
        low_in_channels=24,
        low_channels=48,
        dropouts=(0.5, 0.5, 0.2),
        num_classes=11,
        norm_cfg=norm_cfg,
        align_corners=True,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
