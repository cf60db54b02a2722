# The same draw by ImageNet's weights instead of the pool's own.
_base_ = './core_set.py'
active_learning = dict(
    features=dict(
        _delete_=True,
        type='Backbone',
        backbone=dict(type='mmseg.MobileNetV2', out_indices=(6,)),
        checkpoint='data/weights/mobilenet_v2_imagenet.pth',
        mean=[127.5] * 3,
        std=[127.5] * 3,
    ),
)
