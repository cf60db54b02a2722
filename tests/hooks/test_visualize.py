from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from mmcv.runner import HOOKS
from PIL import Image
from scenes import (
    CLASSES,
    PALETTE,
    SIZE,
    buy_images,
    buy_pixels,
    image,
    new_store,
    pool_of,
    report_of,
    truth,
)

from segal.hooks.visualize import VisualizeHook
from segal.structures import LABELLED, REFUSED, VOID, Selection
from segal.visualization.drawing import (
    class_colours,
    display_scale,
    legend,
    overlay_scale,
    score_bar,
    score_colours,
    swatch,
)
from segal.visualization.marks import Marks, draw_marks, mark, mark_radius
from segal.visualization.pictures import (
    Scene,
    contact_sheet,
    errors_on,
    labels_on,
    overlay,
    panel,
)
from segal.visualization.scenes import chosen_images, scene_of, slug


def at(row, column):
    return row * SIZE[1] + column


def marks_of(*requests):
    """(place, class, status, new) each."""
    columns = list(zip(*requests, strict=True)) or [(), (), (), ()]
    kinds = (np.int64, np.uint8, np.uint8, bool)
    return Marks(
        *(np.array(c, k) for c, k in zip(columns, kinds, strict=True))
    )


def scene(marks=None, **more):
    marks = marks_of() if marks is None else marks
    return Scene('a', image(), marks, CLASSES, PALETTE, **more)


def hook(**options):
    return HOOKS.build({'type': 'VisualizeHook', **options})


def test_choice_is_spread_and_always_the_same():
    pool = pool_of(100)
    chosen = [pool.index(x) for x in chosen_images(pool, 10)]
    assert chosen == [5, 15, 25, 35, 45, 55, 65, 75, 85, 95]
    assert chosen_images(pool[:3], 10) == pool[:3]
    assert chosen_images(pool, 0) == []


@pytest.mark.parametrize(
    ('size', 'scale'),
    [((96, 128), 6), ((120, 160), 5), ((360, 480), 2), ((1024, 2048), 1)],
)
def test_small_images_are_enlarged_by_a_whole_factor(size, scale):
    assert overlay_scale(size) == scale


def test_large_images_are_reduced():
    assert overlay_scale((3000, 4096)) == 0.5
    assert display_scale((1024, 2048), 512) == 0.25


def colour_at(picture, row, column, scale):
    return picture.getpixel(
        (int((column + 0.5) * scale), int((row + 0.5) * scale))
    )


@pytest.mark.parametrize('scale', [1, 12])
def test_a_mark_has_its_class_colour_at_its_place(scale):
    picture = Image.new('RGB', (SIZE[1] * scale, SIZE[0] * scale))
    marks = marks_of(
        (at(10, 20), 0, LABELLED, True), (at(30, 50), 2, LABELLED, False)
    )
    draw_marks(picture, marks, SIZE, scale, PALETTE, 5)
    assert colour_at(picture, 10, 20, scale) == tuple(PALETTE[0])
    assert colour_at(picture, 30, 50, scale) == tuple(PALETTE[2])


def test_new_old_void_and_refused_look_different():
    pictures = []
    for status in (LABELLED, VOID, REFUSED):
        for new in (True, False):
            ground = Image.new('RGB', (41, 41), (120, 90, 60))
            stamp, mask = mark(status, new, (200, 30, 30), 12)
            ground.paste(stamp, (4, 4), mask)
            pictures.append(np.asarray(ground).astype(int))
    for i, one in enumerate(pictures):
        for other in pictures[:i]:
            assert np.abs(one - other).sum() > 2000
    new, old = pictures[:2]
    assert (new == 255).all(2).sum() > 80  # the white rim
    assert (old == 255).all(2).sum() == 0
    covered = [(p != (120, 90, 60)).any(2).sum() for p in (new, old)]
    assert covered[0] > 1.5 * covered[1]


def test_new_marks_lie_on_top():
    picture = Image.new('RGB', SIZE[::-1])
    here = at(20, 20)
    marks = marks_of((here, 0, LABELLED, True), (here, 1, LABELLED, False))
    draw_marks(picture, marks, SIZE, 1, PALETTE, 6)
    assert picture.getpixel((20, 20)) == tuple(PALETTE[0])


def test_marks_are_seen_at_a_glance_and_never_hide_the_image():
    assert mark_radius((768, 576), 40) >= 7
    assert mark_radius((2048, 1024), 40) >= 20
    many = 5000
    area = many * np.pi * mark_radius((768, 576), many) ** 2
    assert area < 0.15 * 768 * 576


def test_score_bright_is_high():
    score = np.linspace(-2, 3, 100, dtype=np.float32).reshape(10, 10)
    colours, low, high = score_colours(score)
    assert colours[-1, -1].sum() > colours[0, 0].sum() + 300
    assert -2 <= low < high <= 3


def test_score_one_outlier_hides_nothing_and_constant_is_drawn():
    score = np.random.default_rng(0).random((50, 50)).astype(np.float32)
    score[0, 0] = 1e6
    assert score_colours(score)[2] < 2
    colours, low, high = score_colours(np.full((4, 4), 0.3, np.float32))
    assert low == high == np.float32(0.3)
    assert (colours == colours[0, 0]).all()


def test_score_bar_says_that_the_best_score_is_higher():
    below = {}
    for best in (0.9, 3.0):
        bar = np.asarray(score_bar(200, 0.0, 0.9, best))
        below[best] = (bar[25:60, 24:] != 255).any()
    assert below == {0.9: False, 3.0: True}


def test_legend_wraps_and_unknown_classes_have_a_colour():
    entries = [(swatch((1, 2, 3)), f'class number {i}') for i in range(30)]
    picture = legend(entries, 500)
    assert picture.width == 500
    assert picture.height > 5 * 15
    assert len(class_colours(PALETTE)[200]) == 3


def test_summary_counts_everything():
    marks = marks_of(
        (1, 0, LABELLED, False), (2, 0, VOID, False), (3, 1, LABELLED, True)
    )
    shown = scene(marks, when='after round 3')
    assert shown.summary.split('  ·  ') == [
        'after round 3', '2 asked earlier', '1 new', '1 void',
    ]  # fmt: skip
    assert shown.counts() == {0: 1, 1: 1}
    assert scene().summary == 'nothing labelled'


def test_overlay_and_panel_at_any_size():
    for size in ((96, 128), (1024, 2048), (300, 40), (1, 1)):
        pixels = np.zeros((*size, 3), np.uint8)
        shown = Scene('a' * 300, pixels, marks_of(), CLASSES, PALETTE)
        score = np.zeros(size, np.float32)
        prediction = np.zeros(size, np.uint8)
        for picture in (overlay(shown), panel(shown, prediction, score)):
            assert 500 <= max(picture.size) <= 4000


def test_panel_shows_the_prediction():
    prediction = np.full(SIZE, 2, np.uint8)
    picture = panel(scene(), prediction, np.zeros(SIZE, np.float32))
    shown = (np.asarray(picture) == PALETTE[2]).all(2).sum()
    scale = display_scale(SIZE, 480)
    assert shown >= SIZE[0] * SIZE[1] * scale**2


def test_void_has_another_colour_than_a_black_class():
    black = np.array([[0, 0, 0], *PALETTE[1:]], np.uint8)
    whole = replace(scene(label_map=truth()), palette=black)
    sky, void = at(0, SIZE[1] - 1), at(0, 0)  # see truth()
    marks = marks_of((sky, 0, LABELLED, False), (void, 255, VOID, False))
    grey = Image.new('RGB', (SIZE[1] * 4, SIZE[0] * 4), (100, 100, 100))
    draw_marks(grey, replace(marks, areas=True), SIZE, 4.0, black, 1.5)
    shown = np.asarray(grey, int)
    assert np.abs(shown[2, 2] - shown[2, -3]).max() > 100
    known = replace(whole, truth=truth())
    wrong = np.full(SIZE, 0, np.uint8)
    for picture in (labels_on(whole, 1.0), errors_on(known, wrong, 1.0)[0]):
        drawn = np.asarray(picture, int)
        assert drawn[0, 0].min() > 120  # in VOC's light colour
        assert drawn[0, SIZE[1] - 1].min() < 100


def test_whole_image_is_tinted_and_new_ones_are_framed():
    tinted = np.asarray(overlay(scene(label_map=truth(), new=False)), int)
    framed = np.asarray(overlay(scene(label_map=truth(), new=True)), int)
    plain = np.asarray(overlay(scene()), int)
    assert np.abs(tinted[:400] - plain[:400]).mean() > 3
    frame = (framed == (255, 196, 0)).all(2).sum()
    assert frame > 3000
    assert (tinted == (255, 196, 0)).all(2).sum() == 0


def test_pixel_rounds_draw_the_same_images(tmp_path):
    store = new_store(tmp_path, pool_of(7))
    buy_pixels(store, [at(20, 20), at(1, 1)])
    asked = buy_pixels(store, [at(30, 40)])
    first = report_of(tmp_path, store, 0, asked)
    hook(size=3).after_round(None, first)
    last = report_of(tmp_path, store, 1, None)
    hook(size=3).after_round(None, last)
    names = [path.name for path in first.pictures]
    assert names == [path.name for path in last.pictures]
    assert names[:2] == [
        '00_set_scene_1_overlay.png', '00_set_scene_1_panel.png',
    ]  # fmt: skip
    assert len(names) == 6
    for report, number in ((first, 0), (last, 1)):
        folder = tmp_path / 'viz' / f'round_{number:03d}'
        assert all(p.parent == folder for p in report.pictures)
        for path in report.pictures:
            with Image.open(path) as picture:
                picture.load()


def test_only_what_the_round_asked_is_new(tmp_path):
    store = new_store(tmp_path, pool_of(2))
    old, new = [at(20, 20), at(1, 1)], [at(30, 40)]
    buy_pixels(store, old)
    asked = buy_pixels(store, new)

    def shown(selection, until=None):
        made = scene_of(
            store.pool[0], store, lambda _: image(), CLASSES, PALETTE,
            selection, '', until,
        )  # fmt: skip
        pairs = zip(made.marks.places, made.marks.new, strict=True)
        return {int(place): bool(is_new) for place, is_new in pairs}

    assert shown(asked) == {**dict.fromkeys(old, False), new[0]: True}
    assert not any(shown(None).values())
    assert shown(store.selection(0), until=0) == dict.fromkeys(old, True)


def test_overlay_can_be_left_out_and_the_folder_named(tmp_path):
    store = new_store(tmp_path, pool_of(2))
    report = report_of(tmp_path, store, 0, None)
    hook(size=1, overlay=False, dir='seen/here').after_round(None, report)
    (path,) = report.pictures
    assert path.parent == tmp_path / 'seen' / 'here' / 'round_000'
    assert path.name.endswith('_panel.png')


def test_image_rounds_have_a_contact_sheet(tmp_path):
    pool = pool_of(6)
    store = new_store(tmp_path, pool)
    buy_images(store, [pool[0].name])
    asked = buy_images(store, [pool[3].name, pool[5].name])
    report = report_of(tmp_path, store, 0, asked)
    hook(size=6).after_round(None, report)
    assert report.pictures[-1].name == 'asked.png'
    assert len(report.pictures) == 13
    made = [
        scene_of(x, store, lambda _: image(), CLASSES, PALETTE, asked, '')
        for x in pool
    ]
    assert [s.label_map is not None for s in made] == [
        True, False, False, True, False, True,
    ]  # fmt: skip
    assert [s.new for s in made] == [False, False, False, True, False, True]


def test_contact_sheet_is_capped(monkeypatch, tmp_path):
    names = [f'{i:03d}' for i in range(130)]
    selection = Selection(
        2,
        'image',
        dict.fromkeys(names, np.empty(0, np.int64)),
        {name: np.array([float(name)], np.float32) for name in names},
    )
    read = []
    said = {}

    def sheet(thumbnails, title, subtitle):
        said.update(names=[t[0] for t in thumbnails], subtitle=subtitle)
        return contact_sheet(thumbnails, title, subtitle)

    monkeypatch.setattr('segal.visualization.scenes.contact_sheet', sheet)
    report = report_of(tmp_path, new_store(tmp_path, pool_of(1)), 1, selection)
    report.read_image = lambda name: read.append(name) or image()
    VisualizeHook(size=0).after_round(None, report)
    assert said['names'] == names[:29:-1]
    assert len(read) == 100
    assert 'first 100 by score' in said['subtitle']


def test_a_round_of_ten_small_images_is_quick(tmp_path):
    store = new_store(tmp_path, pool_of(10, (96, 128)))
    asked = buy_pixels(store, range(5, 12000, 300))
    report = report_of(tmp_path, store, 0, asked)
    hook().after_round(None, report)
    begin = time.process_time()
    hook().after_round(None, report)
    assert time.process_time() - begin < 2.5


def test_slug():
    assert slug('CamVid/train/a b.png') == 'CamVid_train_a_b'
    assert slug('x/0016E5.08.jpeg') == 'x_0016E5.08'


def test_regions_are_painted_as_areas():
    area = [(row, column) for row in range(10, 30) for column in range(8, 40)]
    old = [(row, column) for row in range(32, 44) for column in range(8, 40)]
    marks = marks_of(
        *((at(*place), 0, LABELLED, True) for place in area),
        *((at(*place), 1, LABELLED, False) for place in old),
        *((at(0, column), 255, VOID, False) for column in range(64)),
    )
    picture = Image.new('RGB', (SIZE[1] * 4, SIZE[0] * 4), (200, 0, 0))
    draw_marks(picture, marks, SIZE, 4.0, PALETTE, 1.5)

    def seen(row, column):
        return np.array(picture.getpixel((column * 4 + 2, row * 4 + 2)), int)

    share = 200 / 255
    for (row, column), index in (((20, 20), 0), ((38, 20), 1)):
        wanted = share * PALETTE[index] + (1 - share) * np.array([200, 0, 0])
        assert abs(seen(row, column) - wanted).max() <= 2
    assert seen(0, 30).max() < 60  # void is dark
    assert seen(5, 50).tolist() == [200, 0, 0]  # nothing was asked here
    edge = picture.getpixel((8 * 4, 20 * 4))
    assert edge == (255, 255, 255)  # new: a white line
    assert picture.getpixel((8 * 4, 38 * 4)) != (255, 255, 255)
    few = marks_of((at(20, 20), 0, LABELLED, True))
    picture = Image.new('RGB', picture.size)
    draw_marks(picture, few, SIZE, 4.0, PALETTE, 7.0)
    assert picture.getbbox()[2] - picture.getbbox()[0] > 8  # a mark, no area
    region = replace(few, areas=True)
    picture = Image.new('RGB', picture.size)
    draw_marks(picture, region, SIZE, 4.0, PALETTE, 7.0)
    assert picture.getbbox() == (80, 80, 84, 84)  # the region and no more


@pytest.mark.parametrize('size', [(700, 527), (1126, 1500), (527, 700)])
def test_areas_of_images_that_are_reduced(size):
    height, width = size
    places = np.arange(height * width)  # the last row, too
    marks = Marks(
        places,
        np.zeros(len(places), np.uint8),
        np.full(len(places), LABELLED, np.uint8),
        np.ones(len(places), bool),
        areas=True,
    )
    ground = np.zeros((*size, 3), np.uint8)
    drawn = Scene('a', ground, marks, CLASSES, PALETTE)
    score = np.linspace(0, 1, len(places), dtype=np.float32).reshape(size)
    panel(drawn, np.zeros(size, np.uint8), score, 'picks')
    overlay(drawn)
