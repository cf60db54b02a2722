import numpy as np
from mmcv import imwrite
from mmseg.datasets import build_dataset

import segal.datasets  # noqa: F401  (registers CamVidDataset)


def test_classes_and_files(tmp_path):
    for folder, suffix, picture in (
        ('images', 'jpg', np.zeros((6, 8, 3), np.uint8)),
        ('annotations', 'png', np.full((6, 8), 10, np.uint8)),
    ):
        imwrite(picture, str(tmp_path / folder / f'a.{suffix}'))
    dataset = build_dataset(
        dict(
            type='CamVidDataset',
            data_root=str(tmp_path),
            img_dir='images',
            ann_dir='annotations',
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadAnnotations'),
            ],
        )
    )
    assert len(dataset.CLASSES) == len(dataset.PALETTE) == 11
    assert dataset.CLASSES[0] == 'sky'
    assert dataset.CLASSES[3:6] == ('road', 'pavement', 'tree')
    assert dataset.CLASSES[10] == 'bicyclist'
    assert len({tuple(colour) for colour in dataset.PALETTE}) == 11
    assert dataset[0]['gt_semantic_seg'].max() == 10
