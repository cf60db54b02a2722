"""Colours of classes where a data set names none."""

import colorsys

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from segal.active.dataset.listing import build_listed
from segal.visualization.drawing import distinct_palette
from tests.tiny import CLASSES, write_images


def test_classes_are_told_apart():
    def closest(count):
        colours = np.array(distinct_palette(count), np.uint8)
        lab = rgb2lab(colours[None] / 255)[0]
        return min(
            float(deltaE_ciede2000(lab[i], lab[j]))
            for i in range(count)
            for j in range(i)
        )

    assert closest(10) > 20
    assert closest(20) > 9
    assert distinct_palette(20)[:7] == distinct_palette(7)
    assert len(distinct_palette(400)) == 400


def test_of_few_classes_no_two_have_nearly_the_same_hue():
    hues = [
        360 * colorsys.rgb_to_hsv(*(part / 255 for part in colour))[0]
        for colour in distinct_palette(7)
    ]
    apart = [
        min(abs(a - b), 360 - abs(a - b)) for a in hues for b in hues if a != b
    ]
    assert len(apart) == 7 * 6
    assert min(apart) > 25


@pytest.mark.parametrize('named', [False, True])
def test_colours_that_are_named_are_kept(tmp_path, named):
    write_images(tmp_path, count=1)
    given = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    section = dict(
        type='CustomDataset',
        data_root=str(tmp_path),
        img_dir='images',
        img_suffix='.png',
        classes=CLASSES,
        pipeline=[],
    )
    if named:
        section['palette'] = given
    dataset, _ = build_listed(section)
    wanted = given if named else distinct_palette(3)
    assert wanted == dataset.PALETTE
