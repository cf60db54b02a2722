"""experiments/gtav_cityscapes on made-up folders of the right structure."""

import os
from pathlib import Path

import mmcv
import numpy as np
import pytest

from tests.domain.experiment import rows, run

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'experiments' / 'gtav_cityscapes' / 'pixel_ripu.py'
SIZE = (64, 128)

SMALLER = [
    'model.backbone.depth=18',
    'model.decode_head.in_channels=512',
    'runner.pretrained=random',
    'data.workers_per_gpu=0',
    'data.train.0.pipeline.2.img_scale=(128,72)',
    'data.train.1.pipeline.2.img_scale=(128,64)',
    'data.query.pipeline.1.img_scale=(128,64)',
    'data.val.pipeline.1.img_scale=(128,64)',
    'workflow=[((train,2),(query,1)),((train,1),(query,1)),((train,1),)]',
    'active_learning.visualize.size=1',
]
"""The config as it stands, with a smaller backbone, images and phases."""


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    mmcv.imwrite(array, str(path))


def scene(rng, size):
    """An image, and training ids that go with its colours."""
    ids = rng.integers(0, 19, (4, 8)).astype(np.uint8)
    ids[0, 0] = 255
    ids = mmcv.imresize(ids, size[::-1], interpolation='nearest')
    image = np.stack([ids * 9, 255 - ids * 5, ids * 3], axis=-1)
    return image.astype(np.uint8), ids


@pytest.fixture
def data(tmp_path, monkeypatch):
    """``data/gtav_720x1280`` and ``data/cityscapes``, 64x128 pixels each."""
    rng = np.random.default_rng(0)
    for i in range(1, 4):
        image, ids = scene(rng, (66, 120))
        root = tmp_path / 'data' / 'gtav_720x1280'
        write(root / 'images' / f'{i:05d}.png', image)
        write(root / 'labels' / f'{i:05d}_labelTrainIds.png', ids)
    root = tmp_path / 'data' / 'cityscapes'
    for split, count in (('train', 3), ('val', 2)):
        for i in range(count):
            image, ids = scene(rng, SIZE)
            stem = f'{split}/aachen/aachen_{i:06d}_000019'
            write(root / 'leftImg8bit' / f'{stem}_leftImg8bit.png', image)
            write(root / 'gtFine' / f'{stem}_gtFine_labelTrainIds.png', ids)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ('unit', 'asked'),
    [
        ('pixel', 3 * 8),
        ('region', 3 * 36),
    ],
)
@pytest.mark.slow
def test_the_dry_run_and_a_small_run(data, unit, asked):
    """36 pixels are 0.44 per cent of an image."""
    config = CONFIG.with_name(f'{unit}_ripu.py')
    option = ['--cfg-options', *SMALLER]
    assert run(config, data / 'run', '--dry-run', *option) == 0
    assert not (data / 'run').exists()
    assert run(config, data / 'run', *option) == 0
    got = rows(data / 'run')
    assert [row['iterations'] for row in got] == [2, 1, 1]
    assert [row['requested'] for row in got] == [0, asked, asked]
    assert [row['sources'] for row in got] == [{'images': 3}] * 3
    assert all(row['mIoU'] is not None for row in got)


@pytest.mark.skipif(
    os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') < 48 * 2**30,
    reason='needs over 24 GiB of memory',
)
@pytest.mark.slow
def test_the_config_as_it_stands_in_a_smoke_run(data):
    """ResNet-101 at 640x1280, one iteration of each of two phases."""
    work_dir = data / 'whole'
    option = ['--cfg-options', 'runner.pretrained=random']
    assert run(CONFIG, work_dir, '--smoke', *option) == 0
    got = rows(work_dir.with_name('whole_smoke'))
    assert [row['requested'] for row in got] == [0, 3 * 8]


def test_missing_data_is_said_at_once(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert run(CONFIG, tmp_path / 'run') == 2
    said = capfd.readouterr().err
    for part in ('gtav_720x1280/images', 'cityscapes/leftImg8bit/train'):
        assert part in said
