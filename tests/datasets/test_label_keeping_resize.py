import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmseg.datasets.builder import PIPELINES
from mmseg.datasets.pipelines import Resize

from segal.datasets import LabelKeepingResize
from segal.datasets.pipelines.label_keeping_resize import (
    move_labels,
    resize_unasked,
)


def sample(height=40, width=60, labels=10, seed=0):
    """Results of the loading steps, with a few labels of distinct class."""
    rng = np.random.default_rng(seed)
    seg = np.full(height * width, 255, np.uint8)
    places = rng.choice(height * width, labels, replace=False)
    seg[places] = np.arange(labels) % 200
    return dict(
        img=rng.integers(0, 256, (height, width, 3), np.uint8),
        gt_semantic_seg=seg.reshape(height, width),
        seg_fields=['gt_semantic_seg'],
    )


def marked(labels):
    """Every label of a map: {(row, column): class}."""
    return {
        (int(y), int(x)): int(labels[y, x])
        for y, x in zip(*np.nonzero(labels != 255), strict=True)
    }


def move(points, before, after):
    labels = np.full(before, 255, np.uint8)
    for (y, x), label in points.items():
        labels[y, x] = label
    return marked(move_labels(labels, np.flatnonzero(labels != 255), after))


@pytest.mark.parametrize(
    'options',
    [
        dict(img_scale=(90, 60)),
        dict(img_scale=(90, 30), keep_ratio=False),
        dict(img_scale=(60, 40), ratio_range=(0.5, 2.0)),
        dict(ratio_range=(0.5, 2.0), keep_ratio=False),
        dict(img_scale=[(60, 40), (30, 20)], multiscale_mode='value'),
        dict(img_scale=(90, 60), min_size=64),
    ],
)
@pytest.mark.parametrize('labels', [10, 2400])
def test_does_to_the_image_what_resize_does(options, labels):
    """And to all else but sparse labels."""
    for seed in range(5):
        ours, theirs = sample(labels=labels), sample(labels=labels)
        np.random.seed(seed)
        LabelKeepingResize(**options)(ours)
        np.random.seed(seed)
        Resize(**options)(theirs)
        assert ours.keys() == theirs.keys()
        for key, value in theirs.items():
            if key != 'gt_semantic_seg' or labels == 2400:
                assert np.array_equal(ours[key], value), key
        assert ours['gt_semantic_seg'].shape == ours['img'].shape[:2]


def test_is_registered_and_says_what_it_does():
    transform = PIPELINES.build(
        dict(type='LabelKeepingResize', img_scale=(9, 6), dense_from=0.5)
    )
    assert 'dense_from=0.5' in repr(transform)


def test_places_by_hand():
    # Half: (0.5 * 0.5, 5.5 * 0.5); pixel centres, not corners.
    assert move({(0, 5): 7}, (4, 6), (2, 3)) == {(0, 2): 7}
    # Double: the centre of (1, 2) lies between (2, 4) and (3, 5).
    assert move({(1, 2): 7}, (4, 6), (8, 12)) == {(3, 5): 7}
    assert move({(3, 5): 7}, (4, 6), (4, 6)) == {(3, 5): 7}
    assert move({(3, 5): 7}, (4, 6), (1, 1)) == {(0, 0): 7}


def test_one_label_stays_one_pixel_where_nearest_makes_a_block():
    results = sample(labels=1)
    LabelKeepingResize(img_scale=(180, 120))(results)
    assert len(marked(results['gt_semantic_seg'])) == 1


def test_the_nearest_to_the_centre_wins():
    # Thirds: column 1 of 0..2 is the centre.
    points = {(1, 0): 10, (1, 1): 11, (1, 2): 12}
    assert move(points, (3, 3), (1, 1)) == {(0, 0): 11}
    assert move({(0, 0): 10, (2, 1): 11}, (3, 3), (1, 1)) == {(0, 0): 11}


def test_of_equally_near_labels_the_first_wins():
    points = {(0, 0): 10, (0, 1): 11, (1, 0): 12, (1, 1): 13}
    assert move(points, (2, 2), (1, 1)) == {(0, 0): 10}
    del points[0, 0]
    assert move(points, (2, 2), (1, 1)) == {(0, 0): 11}
    # Sevenths and the like are no whole numbers; their ties are.
    for side in range(2, 40, 2):
        middle = side // 2
        tied = {(0, middle): 2, (0, middle - 1): 1}
        assert move(tied, (1, side), (1, 1)) == {(0, 0): 1}, side


def slow_move(points, before, after):
    """The rule of the docstring, one label after the other."""
    found = {}
    for (y, x), label in points.items():
        down = (y + 0.5) * after[0] / before[0]
        right = (x + 0.5) * after[1] / before[1]
        target = int(down + 1e-9), int(right + 1e-9)
        distance = (down - target[0] - 0.5) ** 2
        distance += (right - target[1] - 0.5) ** 2
        rank = (round(distance, 9), y * before[1] + x, label)
        found[target] = min(rank, found.get(target, rank))
    return {target: rank[2] for target, rank in found.items()}


SIDE = st.integers(1, 40)


@settings(max_examples=200, deadline=None)
@given(
    before=st.tuples(SIDE, SIDE), after=st.tuples(SIDE, SIDE), data=st.data()
)
def test_follows_its_rule_at_any_ratio(before, after, data):
    pixels = before[0] * before[1]
    places = data.draw(st.sets(st.integers(0, pixels - 1), max_size=20))
    points = {
        divmod(place, before[1]): number
        for number, place in enumerate(sorted(places))
    }
    moved = move(points, before, after)
    assert moved == slow_move(points, before, after)
    if after[0] >= before[0] and after[1] >= before[1]:
        assert sorted(moved.values()) == sorted(points.values())


def test_keeps_what_nearest_loses():
    kept, nearest = [], []
    for seed in range(20):
        for transform, counts in (
            (LabelKeepingResize(img_scale=(30, 20)), kept),
            (Resize(img_scale=(30, 20)), nearest),
        ):
            results = sample(seed=seed)
            transform(results)
            counts.append(len(marked(results['gt_semantic_seg'])))
    assert sum(nearest) < 80  # a quarter of 200, and luck
    assert sum(kept) > 190  # but for collisions


def test_where_labels_land_is_where_the_image_goes():
    """A bright dot and its label end at the same place, enlarged or not."""
    for scale in ((90, 60), (120, 80), (150, 100), (45, 30), (30, 20)):
        results = sample(labels=0)
        results['img'][:] = 0
        results['img'][16:19, 28:31] = 255
        results['gt_semantic_seg'][17, 29] = 1
        LabelKeepingResize(img_scale=scale)(results)
        light = results['img'][..., 0].astype(float)
        rows, columns = np.indices(light.shape)
        ((y, x),) = marked(results['gt_semantic_seg'])
        assert abs((light * rows).sum() / light.sum() - y) <= 0.6
        assert abs((light * columns).sum() / light.sum() - x) <= 0.6


def test_the_switch_between_sparse_and_dense():
    few, many = sample(labels=100), sample(labels=600)  # of 2400
    for dense_from, sparse in ((0.2, few), (0.3, many), (1.1, many)):
        results = {**sparse, 'img': sparse['img'].copy()}
        LabelKeepingResize(img_scale=(120, 80), dense_from=dense_from)(results)
        count = len(marked(sparse['gt_semantic_seg']))
        assert len(marked(results['gt_semantic_seg'])) == count
    for dense_from in (0.0, 0.25):
        results = dict(many)
        LabelKeepingResize(img_scale=(120, 80), dense_from=dense_from)(results)
        assert len(marked(results['gt_semantic_seg'])) == 4 * 600


def test_an_image_without_labels():
    results = sample(labels=0)
    LabelKeepingResize(img_scale=(30, 20))(results)
    assert (results['gt_semantic_seg'] == 255).all()
    assert results['gt_semantic_seg'].shape == (20, 30)


def test_another_ignore_index():
    results = sample(labels=5)
    results['gt_semantic_seg'][results['gt_semantic_seg'] == 255] = 254
    LabelKeepingResize(img_scale=(90, 60), ignore_index=254)(results)
    labels = results['gt_semantic_seg']
    assert (labels != 254).sum() == 5
    assert labels.max() == 254


@pytest.mark.parametrize('dense_from', [0.2, 1.1])
@pytest.mark.parametrize('share', [0.9, 0.1])
def test_pixels_nobody_was_asked_about_are_as_many_when_enlarged(
    dense_from, share
):
    draw = np.random.default_rng(0)
    unasked = np.where(draw.random((40, 60)) < share, 0, 255).astype(np.uint8)
    results = sample() | dict(
        gt_unasked=unasked, seg_fields=['gt_semantic_seg', 'gt_unasked']
    )
    resize = LabelKeepingResize(
        img_scale=(120, 80), keep_ratio=False, dense_from=dense_from
    )
    found = resize(results)['gt_unasked']
    assert found.shape == (80, 120)
    assert (found == 0).mean() == pytest.approx((unasked == 0).mean())


@pytest.mark.parametrize('scale', [0.75, 0.5, 0.25, 0.1])
def test_shrinking_forgets_nobody_who_was_asked(scale):
    draw = np.random.default_rng(0)
    unasked = np.zeros((200, 300), np.uint8)
    places = draw.choice(unasked.size, 50, replace=False)
    unasked.reshape(-1)[places] = 255
    size = (round(200 * scale), round(300 * scale))
    small = resize_unasked(unasked, size)
    rows, columns = np.divmod(places, 300)
    at = (
        np.int64((rows + 0.5) * scale),
        np.int64((columns + 0.5) * scale),
    )
    assert (small[at] == 255).all()
    assert set(np.unique(small)) == {0, 255}
    assert (small == 255).sum() <= 100
