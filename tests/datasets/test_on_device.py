"""Colours that the workers draw and the device changes."""

import re

import cv2
import numpy as np
import pytest
import torch
from mmcv.parallel import collate
from mmseg.datasets.builder import PIPELINES

import segal.datasets  # noqa: F401  (registers the transforms)
from segal.datasets.pipelines.drawn_changes import defer
from segal.datasets.pipelines.on_device import _groups, finish
from segal.errors import ConfigError
from segal.seeding import seeded

CPU = torch.device('cpu')
NORM = dict(mean=[123.675, 116.28, 103.53], std=[58.4, 57.1, 57.4])
PLAIN = dict(mean=[0.0] * 3, std=[1.0] * 3, to_rgb=False)  # grey levels
KEYS = ['img', 'gt_semantic_seg']
META = ('img_norm_cfg', 'img_shape', 'pad_shape')
JITTER = dict(type='RandomColorJitter')
GRAY = dict(type='RandomGrayscale')
BLUR = dict(type='RandomGaussianBlur')
DISTORT = dict(type='PhotoMetricDistortion')
COLOUR_CHANGES = ('brightness', 'contrast', 'saturation', 'hue')
EVERY = dict(prob=1.0)


def steps_of(*colours, norm=PLAIN, pad=None, keys=KEYS):
    pipeline = [
        dict(type='RandomFlip', prob=0.5),
        *colours,
        dict(type='Normalize', **norm),
        *([dict(type='Pad', **pad)] if pad else []),
        dict(type='DefaultFormatBundle'),
        dict(type='Collect', keys=keys, meta_keys=META),
    ]
    return [PIPELINES.build(step) for step in pipeline]


def image(seed, size=(37, 50)):
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (4, 5, 3), np.uint8)
    smooth = cv2.resize(small, size[::-1]).astype(int)
    noisy = smooth + rng.integers(-40, 40, (*size, 3))
    return noisy.clip(0, 255).astype(np.uint8)


def sample(steps, seed, size=(37, 50)):
    results = dict(
        img=image(seed, size),
        img_shape=(*size, 3),
        pad_shape=(*size, 3),
        gt_semantic_seg=np.zeros(size, np.uint8),
        seg_fields=['gt_semantic_seg'],
    )
    with seeded(seed):
        for step in steps:
            results = step(results)
        results['next'] = (torch.rand(()).item(), np.random.random())
    return results


def both(steps, seeds, sizes=None):
    """Run a pipeline in the worker and on the device: two batches."""
    sizes = sizes or [(37, 50)] * len(seeds)
    found = []
    for one in (steps, defer(steps, 'data.train')):
        made = [sample(one, *pair) for pair in zip(seeds, sizes, strict=True)]
        drawn = [part.pop('next') for part in made]
        batch = collate(made, samples_per_gpu=len(made))
        found.append((batch, drawn))
    (plain, drawn), (bytes_, again) = found
    assert drawn == again  # the generators are where they would be
    assert bytes_['img'].data[0].dtype == torch.uint8
    assert repr(plain['img_metas'].data) == repr(bytes_['img_metas'].data)
    labels = [batch['gt_semantic_seg'].data[0] for batch in (plain, bytes_)]
    assert torch.equal(*labels)
    return plain, finish(bytes_, CPU)


def images(*batches, key='img'):
    return [batch[key].data[0] for batch in batches]


@pytest.mark.parametrize(
    'steps',
    [
        [dict(JITTER, **EVERY)],
        [dict(JITTER, brightness=0, saturation=0, hue=0, **EVERY)],
        [dict(JITTER, brightness=0, contrast=0, saturation=0, hue=0.5)],
        [dict(GRAY, **EVERY)],
        [dict(BLUR, **EVERY)],
        [dict(BLUR, kernel_size=5, sigma=(0.3, 4.0), **EVERY)],
        [JITTER, GRAY, BLUR],  # the CamVid recipe
    ],
    ids=['jitter', 'contrast', 'hue', 'gray', 'blur', 'small', 'recipe'],
)
def test_grey_levels_are_those_of_pillow_and_opencv(steps):
    """Every single one, over 200 keys in batches of 8."""
    steps = steps_of(*steps)
    for first in range(0, 200, 8):
        wanted, got = images(*both(steps, range(first, first + 8)))
        assert got.dtype == torch.float32
        assert torch.equal(wanted, got)


def test_mmsegs_distortion_differs_by_rounding():
    steps = steps_of(DISTORT)
    gaps = []
    for first in range(0, 200, 8):
        wanted, got = images(*both(steps, range(first, first + 8)))
        gaps.append((wanted - got).abs())
    gaps = torch.stack(gaps)
    assert gaps.mean() < 0.5  # of 255; OpenCV's versions round differently
    assert gaps.max() <= 8


def test_padding_is_what_mmseg_makes_it():
    """Behind Normalize, and where images of several sizes are collated."""
    pad = dict(size_divisor=8, pad_val=0)
    steps = steps_of(JITTER, dict(BLUR, **EVERY), norm=NORM, pad=pad)
    sizes = [(37, 50), (30, 61), (5, 9), (40, 64)]
    for seed in range(0, 20, 4):
        wanted, got = images(*both(steps, range(seed, seed + 4), sizes))
        assert wanted.shape == got.shape == (4, 3, 40, 64)
        torch.testing.assert_close(wanted, got, rtol=0, atol=1e-5)


def test_the_teachers_view_is_kept():
    weak = dict(type='KeepWeakView', **NORM)
    steps = steps_of(weak, DISTORT, norm=NORM, keys=[*KEYS, 'img_weak'])
    sizes = [(37, 50), (30, 61), (40, 64)]
    batches = both(steps, [0, 1, 2], sizes)
    wanted, got = images(*batches, key='img_weak')
    torch.testing.assert_close(wanted, got, rtol=0, atol=1e-5)
    assert not torch.equal(got, batches[1]['img'].data[0])


def test_an_image_does_not_depend_on_its_batch():
    steps = steps_of(JITTER, GRAY, BLUR, DISTORT, norm=NORM)
    (together,) = images(both(steps, range(6))[1])
    alone = [images(both(steps, [seed])[1])[0] for seed in range(6)]
    assert torch.equal(together, torch.cat(alone))


def test_costly_changes_are_made_once_for_a_batch():
    """Whatever the order in which each image comes to them."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        lists = [
            [
                *((name,) for name in rng.permutation(COLOUR_CHANGES)),
                ('gray',),
                ('blur',),
                ('normalise',),
            ][rng.integers(6) :]
            for _ in range(8)
        ]
        done = [[] for _ in lists]
        names = []
        for members in _groups(lists):
            for row, at in members.items():
                done[row].append(lists[row][at])
            (name,) = {lists[row][at][0] for row, at in members.items()}
            names.append(name)
        assert done == lists
        for name in ('hue', 'blur', 'normalise'):
            assert names.count(name) <= 1


def test_a_pipeline_without_chance_is_normalised():
    wanted, got = images(*both(steps_of(norm=NORM), range(4)))
    torch.testing.assert_close(wanted, got, rtol=0, atol=1e-5)


def built(*kinds):
    more = {
        'Normalize': PLAIN,
        'Pad': dict(size_divisor=8, pad_val=1),
        'Collect': dict(keys=KEYS),
        'RandomCrop': dict(crop_size=(4, 4)),
        'RandomFlip': dict(prob=0.5),
    }
    return [PIPELINES.build(dict(type=k, **more.get(k, {}))) for k in kinds]


END = ('DefaultFormatBundle', 'Collect')


@pytest.mark.parametrize(
    ('kinds', 'got'),
    [
        (
            ('PhotoMetricDistortion', 'RandomFlip', 'Normalize', *END),
            'got RandomFlip behind PhotoMetricDistortion',
        ),
        (('Normalize', 'RandomCrop', *END), 'got RandomCrop behind Normalize'),
        (
            ('RandomColorJitter', 'CLAHE', 'Normalize', *END),
            'got CLAHE behind RandomColorJitter',
        ),
        (
            ('PhotoMetricDistortion', 'Pad', 'Normalize', *END),
            'got Pad behind PhotoMetricDistortion',
        ),
        (('Normalize', 'Pad', *END), 'got Pad behind Normalize'),
        (('RandomFlip', *END), 'got none of them'),
        (('RandomColorJitter', *END), 'got RandomColorJitter;'),
        (('Normalize', 'RandomGrayscale', *END), 'RandomGrayscale;'),
        (('Normalize', 'Collect'), 'got Normalize, Collect at its end'),
    ],
)
def test_a_pipeline_that_cannot_be_split_is_refused(kinds, got):
    with pytest.raises(ConfigError, match=re.escape(got)) as caught:
        defer(built(*kinds), 'data.train[1]')
    (problem,) = caught.value.problems
    assert problem.startswith(
        'speed.augment_on_device: wanted data.train[1].pipeline to end with'
    )
    assert problem.endswith('or leave augment_on_device out')


def test_images_that_are_no_bytes_are_refused():
    step, *_ = defer(built('Normalize', *END), 'k')
    with pytest.raises(ValueError, match='wanted an image of bytes'):
        step(dict(img=np.zeros((4, 4, 3), np.float32)))
