"""Runs of pixels, packed masks, and points, there and back."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools import mask as library

from segal.annotation.formats import cvat, label_studio
from segal.annotation.formats.runs import (
    from_runs,
    from_string,
    pack,
    to_runs,
    unpack,
)
from tests.annotation.formats import tools

MASKS = arrays.arrays(
    bool, st.tuples(st.integers(1, 12), st.integers(1, 40))
) | st.tuples(st.integers(1, 30), st.integers(1, 30)).flatmap(
    lambda size: st.sampled_from([np.zeros(size, bool), np.ones(size, bool)])
)


@given(MASKS)
def test_runs_are_those_that_one_counts(mask):
    flat = mask.reshape(-1)
    runs = to_runs(np.flatnonzero(flat), flat.size)
    assert runs == tools.runs_of(flat)
    np.testing.assert_array_equal(
        from_runs(runs, flat.size), np.flatnonzero(flat)
    )


@given(MASKS)
def test_column_major_runs_are_those_of_pycocotools(mask):
    flat = mask.T.reshape(-1)
    runs = to_runs(np.flatnonzero(flat), flat.size)
    packed = library.encode(np.asfortranarray(mask.astype(np.uint8)))
    ours = library.frPyObjects(
        {'size': list(mask.shape), 'counts': runs}, *mask.shape
    )
    assert ours['counts'] == packed['counts']
    assert from_string(packed['counts'].decode()) == runs


@given(
    st.lists(st.integers(0, 40), max_size=6).map(lambda x: [*x, 5])
    | st.lists(st.integers(-3, 9), max_size=6)
)
def test_runs_of_another_sum_are_refused(runs):
    if sum(runs) == 60 and min(runs, default=0) >= 0:
        return
    with pytest.raises(ValueError, match='wanted'):
        from_runs(runs, 60)


@pytest.mark.parametrize('runs', [[1.0, 2], [True, 1], ['2'], [10**30]])
def test_runs_are_whole_numbers(runs):
    with pytest.raises(ValueError, match='wanted'):
        from_runs(runs, 2)


@given(st.text(max_size=12) | st.text('01oOpP', max_size=40))
def test_any_text_is_runs_or_refused(text):
    try:
        runs = from_string(text)
    except ValueError:
        return
    assert all(type(one) is int for one in runs)


@given(MASKS)
def test_packed_masks_come_back(mask):
    packed = pack(mask)
    np.testing.assert_array_equal(unpack(packed, mask.shape), mask)
    values = tools.unpacked(packed).reshape(*mask.shape, 4)
    np.testing.assert_array_equal(values[..., 3] > 0, mask)
    assert (values == values[..., :1]).all()


@given(MASKS, st.integers(0, 2**32 - 1))
def test_alpha_counts_in_masks_that_others_packed(mask, seed):
    colours = np.random.default_rng(seed).integers(0, 256, (*mask.shape, 4))
    colours[..., 3] = mask * colours[..., 3].clip(1)
    packed = tools.packed(colours.reshape(-1))
    np.testing.assert_array_equal(unpack(packed, mask.shape), mask)


@settings(max_examples=200)
@given(
    mask=arrays.arrays(bool, (4, 9)),
    cut=st.integers(0, 40),
    flip=st.integers(0, 300),
)
def test_torn_and_altered_packed_masks_are_masks_or_refused(mask, cut, flip):
    packed = pack(mask)
    with pytest.raises(ValueError, match='wanted'):
        unpack(packed[: min(cut, len(packed) - 1)], mask.shape)
    at = flip % (8 * len(packed))
    packed[at // 8] ^= 1 << at % 8
    with suppress(ValueError):
        assert unpack(packed, mask.shape).shape == mask.shape


def test_a_packed_mask_that_claims_gigabytes_is_refused():
    with pytest.raises(ValueError, match='wanted'):
        unpack([255] * 40, (4, 9))


@pytest.mark.parametrize('packed', [['a'], [300], [-1], [1.5], [None]])
def test_packed_masks_are_bytes(packed):
    with pytest.raises(ValueError, match=r'wanted|range'):
        unpack(packed, (4, 9))


def columns_of(width):
    """All columns, or 2,000 of them with the last ones."""
    if width <= 2000:
        return np.arange(width)
    drawn = np.random.default_rng(width).integers(0, width, 1000)
    return np.unique([*drawn, *range(width - 1000, width)])


@pytest.mark.parametrize(
    'width', [1, 2, 3, 7, 641, 1999, 2048, 9999, 65_537, 99_999, 100_000]
)
def test_points_at_centres_come_back(width):
    columns = columns_of(width)
    per_cent = [(column + 0.5) * 100 / width for column in columns]
    assert [int(x * width / 100) for x in per_cent] == columns.tolist()
    written = [f'{column + 0.5:.2f}' for column in columns]
    assert [int(float(x)) for x in written] == columns.tolist()


@given(st.integers(1, 100_000), st.data())
def test_a_point_of_any_width_comes_back(width, data):
    column = data.draw(st.integers(0, width - 1))
    row = dict(
        type='keypointlabels',
        original_width=width,
        original_height=width,
        value=dict(
            x=(column + 0.5) * 100 / width, y=(column + 0.5) * 100 / width
        ),
    )
    wanted = column * width + column
    found = label_studio.region_places(None, (width, width), '', row)
    assert found.tolist() == [wanted]
    element = cvat.Element(
        '', '', 'points', dict(points=f'{column + 0.5:.2f},{column}.50'), {}
    )
    found = cvat.point_place(None, element, width, width)
    assert found.tolist() == [wanted]
