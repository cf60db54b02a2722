"""One image over all rounds: sheet, animation, kept predictions."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
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

from segal.active.oracles import BaseOracle, GroundTruthOracle
from segal.hooks import visualize
from segal.hooks.visualize import VisualizeHook
from segal.structures import VOID
from segal.visualization.marks import Marks
from segal.visualization.over_rounds import (
    MOST_ROUNDS,
    Moment,
    read_moments,
    rounds_frames,
    rounds_sheet,
    save_animation,
    save_prediction,
)
from segal.visualization.pictures import Scene, errors_on, legend_of, panel


def scene_of_round(number=0, known=True):
    places = np.arange(number + 1, dtype=np.int64) * 70
    marks = Marks(
        places,
        np.zeros(len(places), np.uint8),
        np.zeros(len(places), np.uint8),
        np.arange(len(places)) == number,
    )
    when = f'round {number}'
    known_truth = truth() if known else None
    return Scene(
        'a', image(), marks, CLASSES, PALETTE, when, truth=known_truth
    )


def rounds_of(work_dir, rounds=3, known=True):
    store = new_store(work_dir, pool_of(3))
    buy_pixels(store, [5, 900])
    for number in range(rounds):
        asked = None
        if number < rounds - 1:
            asked = buy_pixels(store, [1000 + number, 2000 + number])
        report = report_of(work_dir, store, number, asked, known)
        wrong = np.minimum(truth(), 2)
        wrong[: 10 * (rounds - number)] = 2
        found = wrong, np.zeros(SIZE, np.float32)
        report.predict = lambda _, found=found: found
        VisualizeHook(size=3, overlay=False).after_round(None, report)
    return work_dir / 'viz'


def test_a_run_leaves_a_sheet_and_an_animation_of_all_rounds(tmp_path):
    viz = rounds_of(tmp_path)
    kept = sorted((viz / 'rounds').glob('01_set_scene_1/*'))
    assert [path.name for path in kept] == ['000.png', '001.png', '002.png']
    with Image.open(viz / 'rounds.gif') as animation:
        assert animation.n_frames == 3
        frames = []
        for number in range(3):
            animation.seek(number)
            frames.append(np.asarray(animation.convert('RGB'), int))
            assert animation.info['duration'] == (
                3500 if number == 2 else 1400
            )
    red = [(f[..., 0] > f[..., 1:].max(2) + 90).sum() for f in frames]
    assert red[0] > red[1] > red[2] > 1000  # the network becomes better
    with Image.open(viz / 'rounds.png') as sheet:
        assert sheet.width > 4 * 256


def test_an_animation_keeps_the_colours_of_classes(tmp_path):
    rng = np.random.default_rng(0)
    palette = rng.integers(0, 256, (40, 3)).astype(np.uint8)
    frames = rng.integers(0, 256, (2, 120, 160, 3)).astype(np.uint8)
    frames[:, :3, 0:120:3] = palette  # small things in a colourful photo
    path = tmp_path / 'rounds.gif'
    save_animation([*map(Image.fromarray, frames)], palette, path)
    with Image.open(path) as animation:
        for number in range(2):
            animation.seek(number)
            shown = np.asarray(animation.convert('RGB'))
            np.testing.assert_array_equal(shown[1, 0:120:3], palette)


def test_the_same_rounds_give_the_same_bytes(tmp_path):
    one, two = (rounds_of(tmp_path / name) for name in 'ab')
    for name in ('rounds.png', 'rounds.gif'):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_without_ground_truth_there_are_no_errors(tmp_path):
    viz = rounds_of(tmp_path, known=False)
    with Image.open(viz / 'rounds.png') as sheet:
        pixels = np.asarray(sheet.convert('RGB'))
    assert not (pixels == (232, 62, 48)).all(2).any()  # of the legend


def test_labels_of_a_round_are_those_it_was_trained_on(tmp_path, monkeypatch):
    seen = []

    def sheet(moments):
        seen[:] = [
            (
                m.round,
                m.scene.marks.places.tolist(),
                m.scene.marks.new.tolist(),
            )
            for m in moments
        ]
        return rounds_sheet(moments)

    monkeypatch.setattr(visualize, 'rounds_sheet', sheet)
    rounds_of(tmp_path)
    assert seen == [
        (0, [5, 900], [True, True]),
        (1, [5, 900, 1000, 2000], [False, False, True, True]),
        (2, [5, 900, 1000, 2000, 1001, 2001], [False] * 4 + [True] * 2),
    ]


def test_the_legend_has_marks_of_earlier_rounds():
    first, last = scene_of_round(0), scene_of_round(1)
    first.marks.status[:] = VOID

    def words(*scenes):
        return {word for _, word in legend_of(last, False, (), scenes)}

    assert words(first) == words() | {f'{last.newly} void'}


def test_a_round_that_was_not_drawn_is_left_out(tmp_path):
    for number in (0, 2):
        prediction = np.full(SIZE, number, np.uint8)
        save_prediction(prediction, PALETTE, tmp_path / f'{number}.png')
    (tmp_path / '1.png').write_bytes(b'cut')
    moments = read_moments(
        4, lambda number: tmp_path / f'{number}.png', scene_of_round
    )
    assert [moment.round for moment in moments] == [0, 2]
    assert (moments[1].prediction == 2).all()
    with Image.open(tmp_path / '2.png') as picture:
        assert picture.convert('RGB').getpixel((0, 0)) == tuple(PALETTE[2])


@pytest.mark.parametrize('known', [True, False])
@pytest.mark.parametrize('count', [1, 4, 11, MOST_ROUNDS])
def test_any_number_of_rounds_is_drawn(count, known):
    prediction = np.zeros(SIZE, np.uint8)
    moments = [
        Moment(k, scene_of_round(k, known), prediction) for k in range(count)
    ]
    assert rounds_sheet(moments).width < 2600
    frames = rounds_frames(moments)
    assert len({frame.size for frame in frames}) == 1
    assert len(frames) == count


def test_of_very_many_rounds_the_first_and_the_last_are_drawn(tmp_path):
    for number in range(60):
        path = tmp_path / f'{number}.png'
        save_prediction(np.zeros(SIZE, np.uint8), PALETTE, path)
    moments = read_moments(
        60, lambda number: tmp_path / f'{number}.png', scene_of_round
    )
    numbers = [moment.round for moment in moments]
    assert len(numbers) == MOST_ROUNDS
    assert (numbers[0], numbers[-1]) == (0, 59)


def test_errors_are_red_and_void_is_none():
    prediction = np.minimum(truth(), 2)  # void is predicted as some class
    picture, share = errors_on(scene_of_round(), prediction, 1.0)
    assert share == 0
    prediction[20, :32] = 2 - prediction[20, :32]
    picture, share = errors_on(scene_of_round(), prediction, 1.0)
    known = truth() < 3
    wrong = known & (prediction != truth())
    assert share == pytest.approx(wrong.sum() / known.sum())
    pixels = np.asarray(picture, int)
    assert (pixels[wrong][:, 0] > pixels[wrong][:, 1] + 80).all()
    assert (pixels[~wrong][:, 0] == pixels[~wrong][:, 1]).all()


def test_the_panel_has_the_ground_truth_where_it_is_known():
    prediction, score = np.zeros(SIZE, np.uint8), np.zeros(SIZE, np.float32)
    known = np.asarray(panel(scene_of_round(), prediction, score))
    unknown = np.asarray(panel(scene_of_round(known=False), prediction, score))
    pole = tuple(PALETTE[2])  # of the truth alone
    assert (known == pole).all(2).sum() > 5 * (unknown == pole).all(2).sum()


def test_what_cannot_be_drawn_is_logged_and_ends_no_run(
    tmp_path, monkeypatch, caplog
):
    def broken(*_):
        raise ValueError('no such colour')

    monkeypatch.setattr(visualize, 'rounds_sheet', broken)
    monkeypatch.setattr(logging.getLogger('mmseg'), 'propagate', True)
    viz = rounds_of(tmp_path)
    assert len(list(viz.rglob('*_panel.png'))) == 9
    said = [r for r in caplog.records if 'cannot be drawn' in r.message]
    assert len(said) == 3
    assert not (viz / 'rounds.png').exists()


def test_an_image_that_is_labelled_whole_later_is_its_own_truth(tmp_path):
    store = new_store(tmp_path, pool_of(3))
    for number, name in enumerate(('set/scene 0.png', 'set/scene 1.png')):
        asked = buy_images(store, [name])
        if number:
            report = report_of(tmp_path, store, 0, asked, known=False)
            VisualizeHook(size=3).after_round(None, report)
    buy_images(store, ['set/scene 2.png'])
    report = report_of(tmp_path, store, 1, None, known=False)
    VisualizeHook(size=3).after_round(None, report)
    with Image.open(tmp_path / 'viz/rounds.gif') as animation:
        assert animation.n_frames == 2


def test_ground_truth_is_known_where_files_answer(tmp_path):
    def read(name):
        if name == 'gone':
            raise FileNotFoundError(name)
        return truth()

    pool = [
        replace(one, name=x)
        for one, x in zip(pool_of(2), ('a', 'gone'), strict=True)
    ]
    oracle = GroundTruthOracle(read, pool, CLASSES)
    assert (oracle.known_truth('a') == truth()).all()
    assert oracle.known_truth('gone') is None

    class People(BaseOracle):
        def answer(self, selection):
            raise NotImplementedError

    assert People().known_truth('a') is None
