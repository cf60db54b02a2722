# Pascal VOC 2012, 20 pixels per image and round; the object borders that the
# annotators left out are void (255) and are charged when asked.
_base_ = '../cityscapes/pixel_margin.py'
model = dict(decode_head=dict(num_classes=21))
size = (320, 320)  # (height, width)
img_norm_cfg = dict(
    mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True
)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='Resize', img_scale=(500, 500), ratio_range=(0.5, 2.0)),
    dict(type='RandomCrop', crop_size=size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='Pad', size=size, pad_val=0, seg_pad_val=255),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_semantic_seg']),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug',
        img_scale=(500, 500),
        flip=False,
        transforms=[
            dict(type='Resize', keep_ratio=True),
            dict(type='Normalize', **img_norm_cfg),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img']),
        ],
    ),
]
voc = dict(
    _delete_=True,
    type='PascalVOCDataset',
    data_root='data/VOCdevkit/VOC2012',
    img_dir='JPEGImages',
    ann_dir='SegmentationClass',
)
trained = dict(voc, split='ImageSets/Segmentation/train.txt')
val = dict(voc, split='ImageSets/Segmentation/val.txt', pipeline=test_pipeline)
data = dict(
    train=dict(trained, pipeline=train_pipeline),
    query=dict(trained, pipeline=test_pipeline),
    val=val,
    test=val,
)
active_learning = dict(
    settings=dict(pixel=dict(query_size=20, initial_label_pixels=20))
)
