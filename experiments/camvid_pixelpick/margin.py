# PixelPick on CamVid: 10 pixels per image and round, up to 100.
_base_ = [
    '../../configs/_base_/models/deeplabv3plus_mobilenetv2.py',
    '../../configs/_base_/datasets/camvid.py',
    '../../configs/_base_/schedules/pixelpick_camvid.py',
    '../../configs/_base_/default_runtime.py',
]
active_learning = dict(
    settings=dict(
        pixel=dict(
            sample_threshold=5,
            query_size=10,
            initial_label_pixels=10,
            sample_evenly=True,
        )
    ),
    visualize=dict(size=10, overlay=True, dir='viz'),
    heuristic='margin',
    # As the paper does: void pixels are known from the ground truth, and not
    # asked.
    oracle=dict(type='GroundTruthOracle', void='exclude'),
    reset_each_round=True,
)
runner = dict(
    type='ActiveLearningRunner',
    sample_mode='pixel',
    sample_rounds=10,
    pretrained='supervised',
    checkpoint='data/weights/mobilenet_v2_imagenet.pth',
)
workflow = [('train', 50), ('query', 1)]
