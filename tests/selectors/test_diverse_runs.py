"""Whole runs whose selectors read predictions, features and embeddings."""

import json
import shutil

import pytest

from segal.active.label_store.folder import decode_manifest, encode_manifest
from segal.config import load_config, read_config
from segal.rounds import read_rounds
from segal.train_active_learning import main
from tests.features.parts import backbone
from tests.tiny import write_config, write_images

OWN = dict(type='Segmentor')


def config(root, mode, **changes):
    text = f'active_learning.update({changes!r})\n'
    return write_config(root, mode, text)


def run(path, work_dir, *options):
    return main([str(path), '--work-dir', str(work_dir), *options])


def labels(work_dir):
    return {
        str(path.relative_to(work_dir)): path.read_bytes()
        for path in sorted((work_dir / 'labels').rglob('*'))
        if path.is_file()
    }


def cut(whole, target, files):
    """A run as it was when so many label files were written."""
    shutil.copytree(whole, target)
    folder = target / 'labels'
    for number in range(files, 3):
        (folder / f'round_{number:03d}.npz').unlink()
        shutil.rmtree(folder / f'round_{number:03d}', ignore_errors=True)
    path = folder / 'chain.json'
    manifest = decode_manifest(path, path.read_bytes())
    path.write_bytes(
        encode_manifest(manifest._replace(files=manifest.files[:files]))
    )
    rows = read_rounds(target)[:files]
    (target / 'rounds.json').write_text(json.dumps({'rounds': rows}))
    shutil.rmtree(target / 'round_002')
    return target


def test_core_set_asks_images_and_goes_on(tmp_path):
    root = write_images(tmp_path)
    path = config(root, 'image', selector='core_set', features=OWN)
    assert run(path, tmp_path / 'run') == 0
    rows = read_rounds(tmp_path / 'run')
    assert [row['total']['images'] for row in rows] == [3, 5, 7]
    again = cut(tmp_path / 'run', tmp_path / 'cut', 2)
    assert run(path, again) == 0
    assert labels(again) == labels(tmp_path / 'run')


@pytest.mark.slow
def test_the_first_images_are_typical_ones(tmp_path):
    """With features that there are before any training."""
    root = write_images(tmp_path)
    extractor = backbone(tmp_path)
    path = config(
        root,
        'image',
        selector=dict(type='KMeansPlusPlus', shortlist=2),
        initial=dict(selector=dict(type='TypiClust', neighbours=2)),
        features=dict(
            type='Backbone',
            checkpoint=extractor.checkpoint,
            backbone=extractor.backbone,
        ),
    )
    short = ('--cfg-options', 'runner.sample_rounds=2')
    assert run(path, tmp_path / 'run', *short) == 0
    rows = read_rounds(tmp_path / 'run')
    assert [row['total']['images'] for row in rows] == [3, 5]
    plain = config(root, 'image')
    assert run(plain, tmp_path / 'plain', *short) == 0
    first = 'labels/round_000.npz'
    assert labels(tmp_path / 'run')[first] != labels(tmp_path / 'plain')[first]


@pytest.mark.slow
def test_pixels_by_their_gradients(tmp_path):
    root = write_images(tmp_path)
    path = config(root, 'pixel', selector='pixels_badge', features=OWN)
    assert run(path, tmp_path / 'run') == 0
    rows = read_rounds(tmp_path / 'run')
    assert [row['requested'] for row in rows] == [40, 40, 40]
    again = cut(tmp_path / 'run', tmp_path / 'cut', 2)
    assert run(path, again) == 0
    assert labels(again) == labels(tmp_path / 'run')


def test_pixels_of_the_pool_by_class(tmp_path):
    path = config(
        write_images(tmp_path), 'pixel', selector='pixels_stratified_global'
    )
    short = ('--cfg-options', 'runner.sample_rounds=2')
    assert run(path, tmp_path / 'run', *short) == 0
    rows = read_rounds(tmp_path / 'run')
    assert [row['requested'] for row in rows] == [40, 40]


@pytest.mark.parametrize(
    ('selector', 'said'),
    [
        ('core_set', "CoreSet needs 'embedding'"),
        ('pixels_badge', "PixelsBadge needs 'features'"),
    ],
)
def test_without_features_it_is_refused(tmp_path, selector, said):
    mode = 'image' if selector == 'core_set' else 'pixel'
    path = config(tmp_path, mode, selector=selector)
    problems = read_config(load_config(str(path)))[1]
    assert len(problems) == 1
    assert said in problems[0]


def test_options_without_meaning_are_found_before_anything_is_bought(
    tmp_path, capsys
):
    path = config(
        write_images(tmp_path),
        'image',
        selector=dict(type='CoreSet', shortlist=0.5),
        features=OWN,
    )
    assert run(path, tmp_path / 'run') == 2
    assert 'shortlist: wanted how many times' in capsys.readouterr().err
    assert not (tmp_path / 'run' / 'labels').exists()
