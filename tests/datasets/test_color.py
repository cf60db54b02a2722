import time

import cv2
import numpy as np
import pytest
from mmseg.datasets.builder import PIPELINES

import segal.datasets  # noqa: F401  (registers the transforms)
from segal.seeding import seeded

KINDS = ('RandomColorJitter', 'RandomGrayscale', 'RandomGaussianBlur')


def image(height=36, width=48):
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (6, 8, 3), np.uint8)
    return cv2.resize(small, (width, height))


def run(kind, seed=0, **options):
    results = dict(img=image())
    transform = PIPELINES.build(dict(type=kind, **options))
    with seeded(seed):
        return transform(results)['img']


@pytest.mark.parametrize('kind', KINDS)
def test_shape_dtype_and_never(kind):
    done = run(kind, prob=1.0)
    assert done.shape == image().shape
    assert done.dtype == np.uint8
    assert not np.array_equal(done, image())
    assert np.array_equal(run(kind, prob=0.0), image())


@pytest.mark.parametrize('kind', KINDS)
def test_is_drawn_from_the_seeded_generators_alone(kind):
    drawn = [run(kind, seed) for seed in range(12)]
    again = [run(kind, seed) for seed in range(12)]
    assert all(map(np.array_equal, drawn, again))
    assert len({one.tobytes() for one in drawn}) > 1


@pytest.mark.parametrize(
    ('kind', 'share'), zip(KINDS, (0.8, 0.2, 0.5), strict=True)
)
def test_happens_as_often_as_the_recipe_says(kind, share):
    drawn = [run(kind, seed) for seed in range(200)]
    changed = np.mean([not np.array_equal(one, image()) for one in drawn])
    assert abs(changed - share) < 0.1


def test_grayscale_weighs_the_channels_as_bgr():
    results = dict(img=np.zeros((2, 2, 3), np.uint8))
    results['img'][..., 2] = 200  # red
    transform = PIPELINES.build(dict(type='RandomGrayscale', prob=1.0))
    assert set(np.unique(transform(results)['img'])) == {60}  # 0.299 * 200


def test_jitter_takes_images_as_bgr():
    """Without colour, only the weights of the channels are left to see."""
    results = dict(img=np.zeros((2, 2, 3), np.uint8))
    results['img'][..., 2] = 200  # red
    transform = PIPELINES.build(
        dict(
            type='RandomColorJitter',
            brightness=0,
            contrast=0,
            saturation=(0, 0),
            hue=0,
            prob=1.0,
        )
    )
    assert set(np.unique(transform(results)['img'])) <= {59, 60}


def test_blur_is_as_wide_as_asked():
    results = dict(img=np.zeros((61, 61, 3), np.uint8))
    results['img'][30, 30] = 255
    wide = PIPELINES.build(
        dict(type='RandomGaussianBlur', sigma=(2.0, 2.0), prob=1.0)
    )
    dot = wide(results)['img'][..., 0]
    # 255 / (2 pi sigma^2)
    assert abs(int(dot[30, 30]) - 10) <= 1
    assert dot[30, 34] < dot[30, 31]


@pytest.mark.parametrize('kind', KINDS)
def test_costs_little(kind):
    results = dict(img=image(360, 480))
    transform = PIPELINES.build(dict(type=kind, prob=1.0))
    seconds = []
    for _ in range(5):
        begin = time.process_time()
        transform(dict(results))
        seconds.append(time.process_time() - begin)
    assert min(seconds) < 0.1


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (dict(kernel_size=36), 'kernel_size: wanted an odd number'),
        (dict(kernel_size=9.0), 'kernel_size: wanted an odd number'),
        (dict(sigma=(0.0, 0.0)), 'sigma: wanted'),
        (dict(sigma=(2.0, 1.0)), 'sigma: wanted'),
        (dict(sigma=(1.0,)), 'sigma: wanted'),
        (dict(prob=1.5), 'prob: wanted a number from 0 to 1'),
    ],
)
def test_a_blur_that_cannot_be_is_said_before_it_blurs(options, said):
    with pytest.raises(ValueError, match=said):
        PIPELINES.build(dict(type='RandomGaussianBlur', **options))


def test_one_width_of_blur():
    step = PIPELINES.build(dict(type='RandomGaussianBlur', sigma=2))
    assert step.sigma == (2.0, 2.0)
