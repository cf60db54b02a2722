"""mmseg's own transforms carry bought labels, and invent none."""

import numpy as np
import pytest
from mmseg.datasets.pipelines import Compose

import segal.datasets  # noqa: F401  (registers LabelKeepingResize)

SIZE = (48, 64)
BOUGHT = {1, 4, 9}
CHAIN = [
    dict(type='Resize', img_scale=(64, 48), ratio_range=(0.5, 2.0)),
    dict(type='RandomRotate', prob=0.5, degree=30, seg_pad_val=255),
    dict(type='RandomCrop', crop_size=(40, 40)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='Pad', size=(80, 80), pad_val=0, seg_pad_val=255),
]


def results(seed, labels=30):
    rng = np.random.default_rng(seed)
    seg = np.full(SIZE, 255, np.uint8)
    places = rng.choice(seg.size, labels, replace=False)
    seg.flat[places] = rng.choice(sorted(BOUGHT), labels)
    image = rng.integers(0, 256, (*SIZE, 3), np.uint8)
    # The image says where each pixel came from: one channel is its class.
    image[..., 2] = seg
    return dict(img=image, gt_semantic_seg=seg, seg_fields=['gt_semantic_seg'])


@pytest.mark.parametrize(
    'steps',
    [*([step] for step in CHAIN), CHAIN],
    ids=[*(step['type'] for step in CHAIN), 'all of them'],
)
def test_nothing_is_invented(steps):
    chain = Compose(steps)
    kept = 0
    for seed in range(30):
        np.random.seed(seed)
        out = chain(results(seed))
        labels = out['gt_semantic_seg']
        assert labels.dtype == np.uint8
        assert labels.shape == out['img'].shape[:2]
        assert set(np.unique(labels)) <= BOUGHT | {255}
        kept += np.count_nonzero(labels != 255)
    assert kept > 0


def test_crop_and_flip_keep_labels_on_their_pixels():
    chain = Compose([CHAIN[2], CHAIN[3]])
    for seed in range(10):
        np.random.seed(seed)
        out = chain(results(seed))
        assert np.array_equal(out['gt_semantic_seg'], out['img'][..., 2])


def test_a_chain_with_label_keeping_resize_loses_nothing_inside_the_crop():
    steps = [
        dict(
            type='LabelKeepingResize',
            img_scale=(64, 48),
            ratio_range=(1.0, 2.0),
        ),
        dict(type='Pad', size=(96, 128), pad_val=0, seg_pad_val=255),
        dict(type='RandomCrop', crop_size=(96, 128)),
        dict(type='RandomFlip', prob=0.5),
    ]
    for seed in range(10):
        np.random.seed(seed)
        before = results(seed)
        count = np.bincount(before['gt_semantic_seg'].ravel())[:255]
        out = Compose(steps)(before)
        after = np.bincount(out['gt_semantic_seg'].ravel())[:255]
        assert np.array_equal(count, after)
