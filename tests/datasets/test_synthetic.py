import multiprocessing
from pathlib import Path

import cv2
import numpy as np
import pytest

from segal.datasets import (
    SyntheticScenesDataset,
    scenes,
)
from segal.datasets import (
    domain_shift as looks,
)
from segal.datasets.synthetic import FINGERPRINT, SyntheticScenes
from segal.errors import ConfigError, DataError

SMALL = dict(train=3, val=2, size=(24, 32))


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob('*'))
        if path.is_file()
    }


def build(root, part='train', **options):
    return SyntheticScenesDataset(
        part=part,
        data_root=str(root),
        scenes={**SMALL, **options},
        pipeline=[dict(type='LoadImageFromFile')],
    )


def test_made_when_missing_in_the_layout_of_mmseg(tmp_path):
    root = tmp_path / 'deep' / 'scenes'
    train, val = build(root), build(root, 'val')
    assert (len(train), len(val)) == (3, 2)
    assert train[0]['img'].shape == (24, 32, 3)
    for dataset in (train, val):
        for labels in dataset.get_gt_seg_maps():
            assert labels.shape == (24, 32)
            known = {*range(len(dataset.CLASSES)), 255}
            assert set(np.unique(labels)) <= known
    # nothing half-done is left behind
    assert {path.name for path in root.parent.iterdir()} == {
        'scenes',
        '.scenes.lock',
    }


def test_the_same_parameters_give_the_same_files(tmp_path):
    SyntheticScenes(**SMALL).make(tmp_path / 'a')
    SyntheticScenes(**SMALL).make(tmp_path / 'b')
    assert contents(tmp_path / 'a') == contents(tmp_path / 'b')
    SyntheticScenes(**SMALL, seed=1).make(tmp_path / 'c')
    first = 'images/train/train_000.png'
    assert contents(tmp_path / 'a')[first] != contents(tmp_path / 'c')[first]


def test_no_scene_is_in_both_parts(tmp_path):
    SyntheticScenes(**SMALL).make(tmp_path / 'a')
    files = contents(tmp_path / 'a')
    images = [file for name, file in files.items() if 'images' in name]
    assert len(set(images)) == len(images) == 5


def test_made_once_and_again_when_asked_for_others(tmp_path):
    root = tmp_path / 'scenes'
    build(root)
    made = (root / FINGERPRINT).stat().st_mtime_ns
    build(root)
    assert (root / FINGERPRINT).stat().st_mtime_ns == made
    assert len(build(root, train=4)) == 4
    assert len(list((root / 'images' / 'train').iterdir())) == 4


def test_what_others_put_there_stays(tmp_path):
    mine = tmp_path / 'scenes' / 'holiday.jpg'
    mine.parent.mkdir()
    mine.write_text('dear')
    with pytest.raises(DataError, match='data_root'):
        build(tmp_path / 'scenes')
    assert mine.read_text() == 'dear'


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(DataError, match='data_root'):
        build(tmp_path / 'file' / 'scenes')


def test_left_overs_of_a_killed_process_are_swept(tmp_path):
    left = tmp_path / '.scenes.drawing-abc'
    left.mkdir()
    (left / 'half.png').write_text('')
    build(tmp_path / 'scenes')
    assert not left.exists()


def make_and_report(root, start, answers):
    start.wait()
    SyntheticScenes(**SMALL).make(Path(root))
    answers.put(sorted(contents(Path(root))))


def test_several_processes_at_once(tmp_path):
    context = multiprocessing.get_context('fork')
    start, answers = context.Barrier(3), context.Queue()
    workers = [
        context.Process(
            target=make_and_report,
            args=(str(tmp_path / 'scenes'), start, answers),
        )
        for _ in range(3)
    ]
    for worker in workers:
        worker.start()
    seen = [answers.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    assert seen[0] == seen[1] == seen[2]
    assert len(seen[0]) == 2 * 5 + 1


def drawn(count=24, size=(96, 128)):
    return [scenes.draw_scene(seed, size) for seed in range(count)]


@pytest.fixture(scope='module')
def many():
    return drawn()


def test_all_classes_occur_and_some_are_rare(many):
    counts = sum(
        np.bincount(labels.ravel(), minlength=256) for _, labels in many
    )
    share = counts / counts.sum()
    assert set(np.flatnonzero(counts)) == {*range(8), 255}
    for rare in (scenes.CAR, scenes.POLE, scenes.PERSON):
        assert 0.002 < share[rare] < 0.06
    for common in (scenes.SKY, scenes.BUILDING, scenes.TREE, scenes.ROAD):
        assert share[common] > 0.08
    assert 0.03 < share[255] < 0.15


def test_colour_alone_does_not_tell_the_classes(many):
    """The nearest mean colour is wrong at every third pixel or more."""
    colours = np.concatenate([image.reshape(-1, 3) for image, _ in many])
    labels = np.concatenate([labels.ravel() for _, labels in many])
    colours = colours[labels != 255].astype(np.float32)
    labels = labels[labels != 255]
    means = np.stack([colours[labels == c].mean(0) for c in range(8)])
    near = ((colours[:, None] - means) ** 2).sum(2).argmin(1)
    assert (near == labels).mean() < 2 / 3


def test_images_are_decoded_as_they_were_drawn(tmp_path):
    SyntheticScenes(**SMALL).make(tmp_path / 'a')
    image = cv2.imread(str(tmp_path / 'a/images/val/val_001.png'))
    labels = cv2.imread(
        str(tmp_path / 'a/annotations/val/val_001.png'), cv2.IMREAD_UNCHANGED
    )
    assert image.shape == (24, 32, 3)
    assert labels.shape == (24, 32)
    assert image.std() > 10


def test_another_look_of_the_same_streets(tmp_path):
    SyntheticScenes(**SMALL).make(tmp_path / 'photo')
    SyntheticScenes(**SMALL, look='game').make(tmp_path / 'game')
    photo, game = (contents(tmp_path / name) for name in ('photo', 'game'))
    assert photo.keys() == game.keys()
    for name in photo:
        if name.startswith('annotations'):
            assert photo[name] == game[name]
        if name.startswith('images'):
            assert photo[name] != game[name]
    # as it was before there were looks: nobody's scenes are drawn anew
    assert b'look' not in photo[FINGERPRINT]
    assert build(tmp_path / 'game', look='game').img_infos
    assert contents(tmp_path / 'game') == game
    with pytest.raises(ConfigError, match=r"got 'gane'; did you mean 'game'"):
        build(tmp_path / 'game', look='gane')


def test_a_game_has_strong_colours_and_no_grain(many):
    image = np.concatenate([image for image, _ in many])
    game = looks.as_game(image)
    assert game.dtype == np.uint8
    assert game.shape == image.shape

    def saturation(picture):
        return cv2.cvtColor(picture, cv2.COLOR_BGR2HSV)[..., 1].mean()

    def shades(picture):
        return len(np.unique(picture))

    assert saturation(game) > 1.5 * saturation(image)
    assert shades(game) <= 13 < shades(image)
