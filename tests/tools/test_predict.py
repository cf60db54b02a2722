"""Masks for a folder of images, from the network of a run."""

import csv
import json
import shutil
from types import SimpleNamespace

import mmcv
import numpy as np
import pytest
import torch
from PIL import Image
from test_query import PALETTE, place, probabilities  # noqa: F401

from segal.commands.predict import main
from segal.query_folder.predict import Predicted, write_table
from segal.train_active_learning import main as train
from tests.tiny import CLASSES, write_config, write_images


def predict(run, images, out, *options, code=0):
    if isinstance(run, tuple):
        run, *more = run
        options = (*more, *options)
    arguments = [run, images, '--out', out, '--workers', '0', *options]
    assert main(list(map(str, arguments))) == code
    if code:
        return None
    return list(csv.DictReader((out / 'images.csv').open(newline='')))


def by(place):  # noqa: F811
    """Options that name the network of another module's fixture."""
    return place / 'data/tiny_pixel.py', '--checkpoint', place / 'tiny.pth'


def test_masks_are_the_likeliest_classes(place, tmp_path):  # noqa: F811
    out = tmp_path / 'out'
    rows = predict(by(place), place / 'pool', out, '--pictures', 2)
    wanted = probabilities(place)
    assert {line['image'] for line in rows} == wanted.keys()
    for line in rows:
        probs = wanted[line['image']]
        best, classes = probs.max(dim=0)
        assert line['mask'] == f'masks/{line["image"]}'
        mask = Image.open(out / line['mask'])
        assert mask.mode == 'P'
        assert mask.getpalette()[:9] == np.ravel(PALETTE).tolist()
        assert torch.equal(torch.from_numpy(np.array(mask)).long(), classes)
        assert float(line['confidence']) == pytest.approx(
            float(best.mean()), abs=1e-4
        )
        for number, name in enumerate(CLASSES):
            share = (classes == number).float().mean()
            assert float(line[name]) == pytest.approx(float(share), abs=1e-4)
    sure = [float(line['confidence']) for line in rows]
    assert sure == sorted(sure)
    assert (out / 'classes.txt').read_text().split() == list(CLASSES)
    pictures = sorted((out / 'pictures').iterdir())
    assert len(pictures) == 2
    assert Image.open(pictures[0]).width > 500


def test_images_that_differ_in_the_suffix_keep_it(place, tmp_path):  # noqa: F811
    folder = tmp_path / 'photos'
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    for name in ('a.png', 'a.jpg', 'b.JPG'):
        mmcv.imwrite(noise, str(folder / name))
    rows = predict(by(place), folder, tmp_path / 'out', '--batch', 2)
    assert {(line['image'], line['mask']) for line in rows} == {
        ('a.png', 'masks/a.png.png'),
        ('a.jpg', 'masks/a.jpg.png'),
        ('b.JPG', 'masks/b.png'),
    }


def test_names_may_be_long_and_have_several_lines(place, tmp_path):  # noqa: F811
    folder = tmp_path / 'photos'
    folder.mkdir()
    names = ('x' * 251 + '.png', 'a\nb.png')
    for name in names:
        Image.new('RGB', (32, 24)).save(folder / name)
    rows = predict(by(place), folder, tmp_path / 'out')
    assert {line['image'] for line in rows} == set(names)
    assert len(list((tmp_path / 'out/pictures').iterdir())) == 2
    for line in rows:
        assert Image.open(tmp_path / 'out' / line['mask']).size == (32, 24)


def test_a_class_may_have_the_name_of_a_column(tmp_path):
    shares = np.array([0.25, 0.75])
    one = Predicted('a', 'a.jpg', 'masks/a.png', 0.5, shares)
    trained = SimpleNamespace(classes=('face', 'mask'))
    write_table([one], trained, tmp_path)
    (row,) = csv.DictReader((tmp_path / 'images.csv').open(newline=''))
    assert row['mask'] == 'masks/a.png'
    assert (row['face'], row['mask_']) == ('0.2500', '0.7500')


def test_no_two_images_share_a_mask(place, tmp_path):  # noqa: F811
    folder = tmp_path / 'photos'
    folder.mkdir()
    grey = np.full((24, 32, 3), 90, np.uint8)
    names = ('a.jpg', 'a.png', 'a.jpg.png', 'b.png')
    for name in names:
        mmcv.imwrite(grey, str(folder / name))
    rows = predict(by(place), folder, tmp_path / 'out')
    assert {line['mask'] for line in rows} == {
        f'masks/{name}.png' for name in names
    }


def test_the_config_of_an_experiment_names_its_last_round(tmp_path, capsys):
    root = write_images(tmp_path / 'data', 4)
    work_dir = tmp_path / 'run'
    config = write_config(root, extra=f'work_dir = {str(work_dir)!r}')
    out = tmp_path / 'out'
    predict(config, root / 'images', out, code=4)
    assert 'wanted a run with a trained round' in capsys.readouterr().err
    assert not out.exists()
    assert train([str(config)]) == 0
    predict(config, root / 'images', out)
    assert f'{work_dir}/round_002/final.pth' in capsys.readouterr().out
    first = predict(
        work_dir,
        root / 'images',
        tmp_path / 'first',
        '--checkpoint',
        work_dir / 'round_000/final.pth',
    )
    assert len(first) == 4
    assert (tmp_path / 'first/images.csv').read_text() != (
        out / 'images.csv'
    ).read_text()
    capsys.readouterr()
    config.write_text(config.read_text().replace('[120.0] * 3', '[0.0] * 3'))
    predict(config, root / 'images', tmp_path / 'edited', code=4)
    assert "got {'type': 'Normalize', 'mean': [0.0" in capsys.readouterr().err
    predict(work_dir, root / 'images', tmp_path / 'as_trained')
    assert (tmp_path / 'as_trained/images.csv').read_text() == (
        out / 'images.csv'
    ).read_text()


def test_images_of_another_kind_than_the_run_learned_from_are_noted(
    place,  # noqa: F811
    tmp_path,
    capsys,
):
    row = [24, 32, 100, 0, 0, 'uint16', 3, True]
    (tmp_path / 'pool_sizes.json').write_text(json.dumps({'a.png': row}))
    shutil.copy(place / 'data/tiny_pixel.py', tmp_path / 'config.py')
    network = ('--checkpoint', place / 'tiny.pth')
    rows = predict(tmp_path, place / 'pool', tmp_path / 'out', *network)
    said = capsys.readouterr().err
    assert f'{len(rows)} images are uint8, 3 channels' in said
    assert 'learned from images of uint16, 3 channels' in said
    row[-3:] = ['uint8', 3, False]
    (tmp_path / 'pool_sizes.json').write_text(json.dumps({'a.png': row}))
    predict(tmp_path, place / 'pool', tmp_path / 'again', *network)
    assert 'learned from' not in capsys.readouterr().err


def test_nothing_is_written_over(place, tmp_path, capsys):  # noqa: F811
    full = tmp_path / 'full'
    full.mkdir()
    (full / 'mine.txt').write_text('mine')
    predict(by(place), place / 'pool', full, code=4)
    predict(by(place), place / 'pool', place / 'pool/out', code=4)
    said = capsys.readouterr().err
    assert 'wanted an empty or new folder, got' in said
    assert 'wanted a folder outside' in said
    assert [path.name for path in full.iterdir()] == ['mine.txt']
    assert not (place / 'pool/out').exists()
    predict(tmp_path / 'none.py', place / 'pool', tmp_path / 'out', code=2)
    assert 'none.py: wanted a config file' in capsys.readouterr().err
